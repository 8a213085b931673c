/* A working set that is larger than what the card has left: spill KIND PIECES, each piece of 4 MiB, KIND linear, pitched, pool or physical.
 * Every piece is filled by a kernel, a half of each then changed, and copied on from piece to piece; all of it is compared at the end.
 * Before and after each step it tells the sizes that CUDA and NVML tell, and waits for a line.
 */
#include <cuda.h>
#include <dlfcn.h>
#include <nvml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE (4u << 20)
#define WORDS (PIECE / 4)
#define MOST 256

static CUdeviceptr pieces[MOST];
static CUmemGenericAllocationHandle handles[MOST];
static CUdevice device;
static CUstream stream;
static const char *kind;

static void must(CUresult result, const char *what) {
    if (result != CUDA_SUCCESS) {
        printf("failed %s %d\n", what, result);
        exit(1);
    }
}

static CUresult allocate(int i) {
    size_t pitch;
    CUmemAllocationProp on_card = {.type = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {CU_MEM_LOCATION_TYPE_DEVICE, {0}}};
    CUmemAccessDesc access = {.location = {CU_MEM_LOCATION_TYPE_DEVICE, {0}}, .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
    if (!strcmp(kind, "linear"))
        return cuMemAlloc(&pieces[i], PIECE);
    if (!strcmp(kind, "pitched"))
        return cuMemAllocPitch(&pieces[i], &pitch, 4096, PIECE / 4096, 4);
    if (!strcmp(kind, "pool"))
        return cuMemAllocAsync(&pieces[i], PIECE, stream);
    CUresult made = cuMemCreate(&handles[i], PIECE, &on_card, 0);
    if (made != CUDA_SUCCESS)
        return made;
    must(cuMemAddressReserve(&pieces[i], PIECE, 0, 0, 0), "cuMemAddressReserve");
    must(cuMemMap(pieces[i], PIECE, 0, handles[i], 0), "cuMemMap");
    must(cuMemSetAccess(pieces[i], PIECE, &access, 1), "cuMemSetAccess");
    /* From here on the mapping alone holds it. */
    return cuMemRelease(handles[i]);
}

static void release(int i) {
    if (!strcmp(kind, "linear") || !strcmp(kind, "pitched")) {
        must(cuMemFree(pieces[i]), "cuMemFree");
    } else if (!strcmp(kind, "pool")) {
        must(cuMemFreeAsync(pieces[i], stream), "cuMemFreeAsync");
    } else {
        must(cuMemUnmap(pieces[i], PIECE), "cuMemUnmap");
        must(cuMemAddressFree(pieces[i], PIECE), "cuMemAddressFree");
    }
}

/* As a program that was not linked with it asks. */
static void told(const char *when) {
    size_t left, total, whole;
    nvmlMemory_t memory;
    nvmlDevice_t card;
    char line[16];
    void *nvml = dlopen("libnvidia-ml.so.1", RTLD_NOW);
    nvmlReturn_t (*init)(void) = nvml ? (nvmlReturn_t (*)(void))dlsym(nvml, "nvmlInit_v2") : NULL;
    nvmlReturn_t (*by_index)(unsigned, nvmlDevice_t *) = nvml ? dlsym(nvml, "nvmlDeviceGetHandleByIndex_v2") : NULL;
    nvmlReturn_t (*info)(nvmlDevice_t, nvmlMemory_t *) = nvml ? dlsym(nvml, "nvmlDeviceGetMemoryInfo") : NULL;
    if (!init || !by_index || !info || init() || by_index(0, &card) || info(card, &memory)) {
        printf("failed NVML\n");
        exit(1);
    }
    must(cuMemGetInfo(&left, &total), "cuMemGetInfo");
    must(cuDeviceTotalMem(&whole, device), "cuDeviceTotalMem");
    printf("%s: cuda %zu of %zu, device %zu, nvml %llu of %llu\n", when, left >> 20, total >> 20, whole >> 20, memory.free >> 20, memory.total >> 20);
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        exit(1);
}

static unsigned expected(int i, unsigned word) { return word < WORDS / 2 ? ~(unsigned)i : (unsigned)i * 2654435761u; }

static void work(int count) {
    CUmodule module;
    CUfunction fill;
    unsigned *host = malloc(PIECE);
    size_t words = WORDS;
    must(cuModuleLoadData(&module, "any"), "cuModuleLoadData");
    must(cuModuleGetFunction(&fill, module, "fill"), "cuModuleGetFunction");
    for (int i = 0; i < count; i++) {
        unsigned value = (unsigned)i * 2654435761u;
        unsigned long long ns = 100000;
        void *parameters[] = {&pieces[i], &words, &value, &ns};
        must(cuLaunchKernel(fill, 1024, 1, 1, 256, 1, 1, 0, stream, parameters, NULL), "cuLaunchKernel");
    }
    must(cuStreamSynchronize(stream), "cuStreamSynchronize");
    for (int i = 0; i < count; i++)
        must(cuMemsetD32(pieces[i], ~(unsigned)i, WORDS / 2), "cuMemsetD32");
    /* One place on, twice round: what lay on the card has lain in the host's memory, and the other way round. */
    must(cuMemcpyDtoH(host, pieces[count - 1], PIECE), "cuMemcpyDtoH");
    for (int i = count - 1; i > 0; i--)
        must(cuMemcpyDtoD(pieces[i], pieces[i - 1], PIECE), "cuMemcpyDtoD");
    must(cuMemcpyHtoD(pieces[0], host, PIECE), "cuMemcpyHtoD");
    for (int i = 0; i < count; i++) {
        must(cuMemcpyDtoH(host, pieces[(i + 1) % count], PIECE), "cuMemcpyDtoH");
        for (unsigned word = 0; word < WORDS; word++)
            if (host[word] != expected(i, word)) {
                printf("wrong piece %d word %u: %u\n", i, word, host[word]);
                exit(1);
            }
    }
    free(host);
}

int main(int argc, char **argv) {
    CUcontext context;
    int count = argc > 2 ? atoi(argv[2]) : 0, got = 0;
    kind = argv[1];
    must(cuInit(0), "cuInit");
    must(cuDeviceGet(&device, 0), "cuDeviceGet");
    must(cuDevicePrimaryCtxRetain(&context, device), "cuDevicePrimaryCtxRetain");
    must(cuCtxSetCurrent(context), "cuCtxSetCurrent");
    must(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
    told("before");
    while (got < count && allocate(got) == CUDA_SUCCESS)
        got++;
    work(got);
    printf("right %d\n", got);
    told("full");
    CUdeviceptr more;
    printf("beyond %d\n", cuMemAlloc(&more, (size_t)(MOST - 1) * PIECE));
    while (got--)
        release(got);
    must(cuStreamSynchronize(stream), "cuStreamSynchronize");
    told("after");
    return 0;
}
