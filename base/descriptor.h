/* descriptor: how the number of an open descriptor is written. */
#ifndef BULLA_BASE_DESCRIPTOR_H
#define BULLA_BASE_DESCRIPTOR_H

/* descriptor_read reads a number in decimal digits, as the kernel writes it; -1 if text is none. */
int descriptor_read(const char *text);

/* descriptor_number is the descriptor of this process that a path such as /dev/fd/3 or /dev/stdin
 * stands for, or -1. It goes by the path alone: nothing is looked up. */
int descriptor_number(const char *path);

#endif
