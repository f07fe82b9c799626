/* Contracts of base/wire.h for Frama-C: what a caller must see to, and what it may rely on then. */
#include "base/wire.h"

/*@ predicate readable(uint8_t *bytes, integer size) = \valid_read(bytes + (0 .. size - 1));
    predicate writable(uint8_t *bytes, integer size) = \valid(bytes + (0 .. size - 1));

    predicate reads(struct wire_reader *r) = \valid(r) && readable(r->at, r->left);
    predicate writes(struct wire_writer *w) =
        \valid(w) && w->used <= w->room && writable(w->start, w->room) && \separated(w, w->start +
   (0 .. w->room - 1));
*/

/*@ requires readable((uint8_t *)bytes, size);
    assigns \result \from bytes, size;
    ensures readable(\result.at, \result.left);
    ensures \result.left == size;
*/
struct wire_reader wire_reader(const void *bytes, size_t size);

/*@ requires reads(r);
    assigns *r, \result \from *r, size;
    ensures reads(r);
    ensures r->left <= \old(r->left);
    ensures readable(\result.bytes, \result.size);
    ensures \result.size == (r->bad ? 0 : size);
    ensures \result.size <= \old(r->left);
    ensures !r->bad ==> \result.bytes == \old(r->at);
*/
struct view wire_get_view(struct wire_reader *r, size_t size);

/*@ requires reads(r);
    assigns *r, \result \from *r;
    ensures reads(r);
    ensures r->left <= \old(r->left);
*/
uint16_t wire_get_u16(struct wire_reader *r);

/*@ requires reads(r);
    assigns *r, \result \from *r;
    ensures reads(r);
    ensures r->left <= \old(r->left);
*/
uint32_t wire_get_u32(struct wire_reader *r);

/*@ requires reads(r);
    assigns *r, \result \from *r;
    ensures reads(r);
    ensures r->left <= \old(r->left);
*/
uint64_t wire_get_u64(struct wire_reader *r);

/*@ requires reads(r);
    assigns *r, \result \from *r;
    ensures reads(r);
    ensures r->left <= \old(r->left);
    ensures readable(\result.bytes, \result.size);
    ensures \result.size <= 65535;
*/
struct view wire_get_sized(struct wire_reader *r);

/*@ requires reads(r);
    requires size > 0;
    requires writable((uint8_t *)out, size);
    requires \separated(r, (uint8_t *)out + (0 .. size - 1));
    requires \separated(r->at + (0 .. r->left - 1), (uint8_t *)out + (0 .. size - 1));
    assigns *r, ((uint8_t *)out)[0 .. size - 1];
    ensures reads(r);
*/
void wire_get_bytes(struct wire_reader *r, void *out, size_t size);

/*@ requires \valid_read(r);
    assigns \result \from *r;
    ensures \result <==> !r->bad && r->left == 0;
*/
bool wire_at_end(const struct wire_reader *r);

/*@ requires writable((uint8_t *)out, room);
    assigns \result \from out, room;
    ensures \result.used == 0 && \result.room == room && \result.start == (uint8_t *)out;
*/
struct wire_writer wire_writer(void *out, size_t room);

/*@ requires writes(w);
    assigns w->used, w->bad, w->start[0 .. w->room - 1];
    ensures writes(w);
*/
void wire_put_u16(struct wire_writer *w, uint16_t v);

/*@ requires writes(w);
    assigns w->used, w->bad, w->start[0 .. w->room - 1];
    ensures writes(w);
*/
void wire_put_u32(struct wire_writer *w, uint32_t v);

/*@ requires writes(w);
    assigns w->used, w->bad, w->start[0 .. w->room - 1];
    ensures writes(w);
*/
void wire_put_u64(struct wire_writer *w, uint64_t v);

/*@ requires writes(w);
    requires readable((uint8_t *)bytes, size);
    requires \separated(w, (uint8_t *)bytes + (0 .. size - 1));
    requires \separated(w->start + (0 .. w->room - 1), (uint8_t *)bytes + (0 .. size - 1));
    assigns w->used, w->bad, w->start[0 .. w->room - 1];
    ensures writes(w);
*/
void wire_put_bytes(struct wire_writer *w, const void *bytes, size_t size);

/*@ requires writes(w);
    requires readable((uint8_t *)bytes, size);
    requires \separated(w, (uint8_t *)bytes + (0 .. size - 1));
    requires \separated(w->start + (0 .. w->room - 1), (uint8_t *)bytes + (0 .. size - 1));
    assigns w->used, w->bad, w->start[0 .. w->room - 1];
    ensures writes(w);
*/
void wire_put_sized(struct wire_writer *w, const void *bytes, size_t size);

/*@ requires reads(r);
    requires size <= 8;
    assigns *r, \result \from *r;
    ensures reads(r);
    ensures r->left <= \old(r->left);
*/
static uint64_t get_integer(struct wire_reader *r, size_t size);

/*@ requires writes(w);
    requires size <= 8;
    assigns w->used, w->bad, w->start[0 .. w->room - 1];
    ensures writes(w);
*/
static void put_integer(struct wire_writer *w, uint64_t v, size_t size);
