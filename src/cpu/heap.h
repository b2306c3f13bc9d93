/*
 * The tracked heap of src/core/memory.h under this library's own names: it neither exports core's nor needs them from the
 * process that loads it.
 */
#ifndef TR_CPU_HEAP_H
#define TR_CPU_HEAP_H

#define tr_memory_init tr_cpu_memory_init
#define tr_alloc tr_cpu_heap_alloc
#define tr_calloc tr_cpu_heap_calloc
#define tr_realloc tr_cpu_heap_realloc
#define tr_free tr_cpu_heap_free
#define tr_memory_release tr_cpu_memory_release
#define tr_memory_child tr_cpu_memory_child
#define tr_memory_end_child tr_cpu_memory_end_child

#include "core/memory.h"

#endif
