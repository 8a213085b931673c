/* Allocates and frees at random, as it is told on standard input:
 *   run SEED COUNT   so many steps; answers "quiet HELD", the bytes that it asked for and still has
 *   most MIB         allocates pieces of so many MiB until it is refused; answers "most COUNT ERROR"
 *   info             answers "info FREE TOTAL"
 *   none             frees everything; answers "quiet 0"
 */
#include <cuda.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLACES 64
enum kind { NOTHING, LINEAR, POOL, PHYSICAL, PITCHED, MANAGED };
static struct { enum kind kind; CUdeviceptr at; CUmemGenericAllocationHandle handle; size_t bytes; } places[PLACES];
static CUstream stream;
static unsigned long long state;

static unsigned next_number(void) { /* xorshift64*: Vigna 2016 */
    state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
    return (unsigned)((state * 2685821657736338717ULL) >> 33);
}

static void must(CUresult result, const char *what) {
    if (result != CUDA_SUCCESS && result != CUDA_ERROR_OUT_OF_MEMORY) {
        printf("failed %s %d\n", what, result);
        fflush(stdout);
        exit(1);
    }
}

static void clear(int place) {
    switch (places[place].kind) {
    case LINEAR: case PITCHED: case MANAGED: must(cuMemFree(places[place].at), "cuMemFree"); break;
    case POOL: must(cuMemFreeAsync(places[place].at, stream), "cuMemFreeAsync"); break;
    case PHYSICAL: must(cuMemRelease(places[place].handle), "cuMemRelease"); break;
    case NOTHING: break;
    }
    places[place].kind = NOTHING;
}

static size_t any_size(void) {
    switch (next_number() % 4) {
    case 0: return 1 + next_number() % 4096;
    case 1: return 1 + next_number() % (2u << 20);
    case 2: return 1 + next_number() % (16u << 20);
    default: return (size_t)(1 + next_number() % 8) << 21;
    }
}

static void fill(int place) {
    CUresult got = CUDA_ERROR_OUT_OF_MEMORY;
    enum kind kind = 1 + next_number() % 5;
    size_t pitch, bytes = any_size();
    CUmemAllocationProp on_card = {.type = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {CU_MEM_LOCATION_TYPE_DEVICE, {0}}};
    switch (kind) {
    case LINEAR: got = cuMemAlloc(&places[place].at, bytes); break;
    case POOL: got = cuMemAllocAsync(&places[place].at, bytes, stream); break;
    case PHYSICAL: got = cuMemCreate(&places[place].handle, (bytes + (2u << 20) - 1) >> 21 << 21, &on_card, 0); break;
    case PITCHED: got = cuMemAllocPitch(&places[place].at, &pitch, 1 + bytes % 5000, 1 + bytes / 5000, 4); break;
    default: got = cuMemAllocManaged(&places[place].at, bytes, CU_MEM_ATTACH_GLOBAL); break;
    }
    must(got, "allocate");
    places[place].kind = got == CUDA_SUCCESS ? kind : NOTHING;
    places[place].bytes = bytes;
}

static void quiet(void) {
    size_t held = 0;
    must(cuStreamSynchronize(stream), "cuStreamSynchronize");
    for (int place = 0; place < PLACES; place++)
        held += places[place].kind ? places[place].bytes : 0;
    printf("quiet %zu\n", held);
}

static void most(size_t mib) {
    CUdeviceptr at;
    int count = 0;
    CUresult result;
    while ((result = cuMemAlloc(&at, mib << 20)) == CUDA_SUCCESS)
        count++;
    printf("most %d %d\n", count, result);
}

int main(void) {
    char line[128];
    CUdevice device;
    CUcontext context;
    unsigned long long seed;
    int count;
    CUresult result = cuInit(0);
    if (result != CUDA_SUCCESS) {
        printf("refused %d\n", result);
        return 3;
    }
    must(cuDeviceGet(&device, 0), "cuDeviceGet");
    result = cuDevicePrimaryCtxRetain(&context, device);
    if (result != CUDA_SUCCESS) {
        printf("refused %d\n", result);
        return 3;
    }
    must(cuCtxSetCurrent(context), "cuCtxSetCurrent");
    must(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "run %llu %d", &seed, &count) == 2) {
            state = seed * 2 + 1;
            while (count--) {
                int place = next_number() % PLACES;
                places[place].kind ? clear(place) : fill(place);
            }
            quiet();
        } else if (sscanf(line, "most %d", &count) == 1) {
            most(count);
        } else if (!strncmp(line, "info", 4)) {
            size_t left = 0, total = 0;
            result = cuMemGetInfo(&left, &total);
            if (result != CUDA_SUCCESS)
                printf("info refused %d\n", result);
            else
                printf("info %zu %zu\n", left, total);
        } else if (!strncmp(line, "none", 4)) {
            for (int place = 0; place < PLACES; place++)
                clear(place);
            quiet();
        }
        fflush(stdout);
    }
    return 0;
}
