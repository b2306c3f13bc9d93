#include "cpu/heap.h"

#include "core/memory.c"
