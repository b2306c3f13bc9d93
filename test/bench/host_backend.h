/*
 * A backend whose memory is the host's, zeroed; copies are made and operations do nothing. Training on it costs what a
 * model does on the host: planning batches, and copying them. Its results mean nothing.
 */
#ifndef HOST_BACKEND_H
#define HOST_BACKEND_H

#include "core/backend.h"

extern const TrBackendOps host_backend_ops;

#endif
