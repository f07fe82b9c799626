#include "keystore/key_age.h"

#define SECONDS_OF_DAY 86400

uint64_t key_age(const struct key_info *info, uint64_t now)
{
    return now > info->created ? (now - info->created) / SECONDS_OF_DAY : 0;
}

bool key_age_overdue(const struct key_info *info, uint64_t now)
{
    return info->state == KEY_ACTIVE && info->rotate_after != 0 &&
           key_age(info, now) > info->rotate_after;
}
