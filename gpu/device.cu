/*
 * Which devices there are, and whether one will do.
 */
#include "cuda_common.cuh"

/* Is there machine code, or PTX that the driver can compile, for the device? Any kernel will say. */
static __global__ void
probe(int *out)
{
	*out = 1;
}

/* 13000 is 13.0 */
static void
print_driver(char *text, size_t size)
{
	int			version = 0;

	if (cudaDriverGetVersion(&version) == cudaSuccess && version > 0)
		snprintf(text, size, "CUDA %d.%d", version / 1000, version % 1000 / 10);
	else
		snprintf(text, size, "none");
}

/* A machine without a device or a driver that fits is no failure of ours, but not supported. */
TrStatus
tr_cuda_no_device(cudaError_t status, const char *call, TrError *err)
{
	char		driver[64];

	print_driver(driver, sizeof(driver));
	tr_fail(err, TR_UNSUPPORTED, "no CUDA device can be used: %s", cudaGetErrorString(status));
	if (!err)
		return TR_UNSUPPORTED;
	snprintf(err->detail, sizeof(err->detail), "%s() failed with %s; driver: %s, library built for CUDA %d.%d.", call,
			 cudaGetErrorName(status), driver, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
	if (status == cudaErrorInsufficientDriver || status == cudaErrorStubLibrary
		|| status == cudaErrorSystemDriverMismatch)
		snprintf(err->hint, sizeof(err->hint), "Install a driver that supports this version of CUDA, or use the CPU.");
	return TR_UNSUPPORTED;
}

static TrStatus
count_devices(int *count, TrError *err)
{
	cudaError_t status = cudaGetDeviceCount(count);

	if (status == cudaSuccess && *count == 0)
		status = cudaErrorNoDevice;
	if (status == cudaSuccess)
		return TR_OK;
	cudaGetLastError();
	return tr_cuda_no_device(status, "cudaGetDeviceCount", err);
}

int
tr_cuda_devices(TrDevice *devices, int most, TrError *err)
{
	int			count;

	if (count_devices(&count, err) != TR_OK)
		return -1;
	for (int i = 0; i < count && i < most; i++)
	{
		cudaDeviceProp properties;
		cudaError_t status = cudaGetDeviceProperties(&properties, i);

		if (status != cudaSuccess)
		{
			tr_cuda_no_device(status, "cudaGetDeviceProperties", err);
			return -1;
		}
		snprintf(devices[i].name, sizeof(devices[i].name), "%.*s", (int) sizeof(devices[i].name) - 1, properties.name);
		devices[i].memory = properties.totalGlobalMem;
		devices[i].major = properties.major;
		devices[i].minor = properties.minor;
		print_driver(devices[i].driver, sizeof(devices[i].driver));
	}
	return count;
}

/* Makes it the calling thread's device and creates its context. */
TrStatus
tr_cuda_open_device(int device, char *description, size_t size, TrError *err)
{
	cudaFuncAttributes attributes;
	cudaDeviceProp properties;
	cudaError_t status;
	char		driver[64];
	int			count;

	TR_TRY(count_devices(&count, err));
	if (device < 0 || device >= count)
		return tr_fail(err, TR_UNSUPPORTED, "there is no CUDA device %d: the machine has %d", device, count);
	status = cudaSetDevice(device);
	if (status == cudaSuccess)
		status = cudaGetDeviceProperties(&properties, device);
	if (status == cudaSuccess)
		status = cudaFree(NULL);
	if (status != cudaSuccess)
		return tr_cuda_no_device(status, "cudaSetDevice", err);
	status = cudaFuncGetAttributes(&attributes, (const void *) probe);
	if (status != cudaSuccess)
	{
		cudaGetLastError();
		tr_cuda_no_device(status, "cudaFuncGetAttributes", err);
		return tr_fail(err, TR_UNSUPPORTED, "tagrec_cuda was not built for %s (compute capability %d.%d)", properties.name,
					   properties.major, properties.minor);
	}
	print_driver(driver, sizeof(driver));
	snprintf(description, size, "cuda, %s (compute capability %d.%d, %zu GB), driver %s", properties.name,
			 properties.major, properties.minor, properties.totalGlobalMem >> 30, driver);
	return TR_OK;
}
