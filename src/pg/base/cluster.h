/*
 * Citus, where it is installed: a model is made of ordinary tables, which every node has for itself.
 */
#ifndef TAGREC_CLUSTER_H
#define TAGREC_CLUSTER_H

#include "postgres.h"

/* Is this a node that data are distributed to, and not the coordinator? */
extern bool tagrec_is_worker_node(void);

/*
 * What is created from here on is not created on other nodes; within the current level of settings (identity.h). Without
 * Citus it does nothing.
 */
extern void tagrec_create_locally(void);

#endif
