/* Tries to have more of a card than its slice: bypass WAY [ARGUMENT]. Says "MIB ERROR": how much it got, in pieces of 20, and what it was
 * refused with, or 0 after 400 MiB. With "hold" as its last argument it keeps that until its input ends.
 */
#define _GNU_SOURCE
#include <cuda.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECE ((size_t)20 << 20)

static CUcontext context;
static CUstream stream;
static CUmemoryPool pool;
static const CUDA_ARRAY3D_DESCRIPTOR cube = {.Width = 1024, .Height = 1024, .Depth = 5, .Format = CU_AD_FORMAT_FLOAT, .NumChannels = 1};
static const CUmemAllocationProp on_card = {.type = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {CU_MEM_LOCATION_TYPE_DEVICE, {0}}};

static void must(CUresult result, const char *what) {
    if (result != CUDA_SUCCESS) {
        printf("%s %d\n", what, result);
        exit(1);
    }
}

static void begin(void) {
    CUdevice device;
    must(cuInit(0), "cuInit");
    must(cuDeviceGet(&device, 0), "cuDeviceGet");
    must(cuDevicePrimaryCtxRetain(&context, device), "cuDevicePrimaryCtxRetain");
    must(cuCtxSetCurrent(context), "cuCtxSetCurrent");
    must(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
}

static CUresult linear(void) { CUdeviceptr at; return cuMemAlloc(&at, PIECE); }
static CUresult pitched(void) { CUdeviceptr at; size_t pitch; return cuMemAllocPitch(&at, &pitch, 1024, PIECE / 1024, 4); }
static CUresult managed(void) { CUdeviceptr at; return cuMemAllocManaged(&at, PIECE, CU_MEM_ATTACH_GLOBAL); }
static CUresult ordered(void) { CUdeviceptr at; return cuMemAllocAsync(&at, PIECE, stream); }
static CUresult pooled(void) { CUdeviceptr at; return cuMemAllocFromPoolAsync(&at, PIECE, pool, stream); }
static CUresult three_sides(void) { CUarray array; return cuArray3DCreate(&array, &cube); }
static CUresult levels(void) { CUmipmappedArray array; return cuMipmappedArrayCreate(&array, &cube, 1); }
static CUresult heap(void) { return cuCtxSetLimit(CU_LIMIT_MALLOC_HEAP_SIZE, (size_t)400 << 20); }

static CUresult flat(void) {
    CUDA_ARRAY_DESCRIPTOR it = {1024, 5120, CU_AD_FORMAT_FLOAT, 1};
    CUarray array;
    return cuArrayCreate(&array, &it);
}

/* Released at once, but mapped: the mapping holds it. */
static CUresult mapped(void) {
    CUmemGenericAllocationHandle handle;
    CUdeviceptr at;
    CUresult made = cuMemCreate(&handle, PIECE, &on_card, 0);
    if (made == CUDA_SUCCESS) {
        must(cuMemAddressReserve(&at, PIECE, 0, 0, 0), "cuMemAddressReserve");
        must(cuMemMap(at, PIECE, 0, handle, 0), "cuMemMap");
        must(cuMemRelease(handle), "cuMemRelease");
    }
    return made;
}

static CUresult graph(void) {
    CUDA_MEM_ALLOC_NODE_PARAMS it = {.poolProps = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {CU_MEM_LOCATION_TYPE_DEVICE, {0}}}, .bytesize = PIECE};
    CUgraphNode node;
    CUgraphExec made;
    CUgraph graph;
    must(cuGraphCreate(&graph, 0), "cuGraphCreate");
    must(cuGraphAddMemAllocNode(&node, graph, NULL, 0, &it), "cuGraphAddMemAllocNode");
    return cuGraphInstantiate(&made, graph, 0);
}

static void took(const char *before, CUresult (*allocate)(void)) {
    int pieces = 0;
    CUresult result = CUDA_SUCCESS;
    while (pieces < 20 && (result = allocate()) == CUDA_SUCCESS)
        pieces++;
    printf("%s%d %d\n", before, pieces * 20, result);
    fflush(stdout);
}

static void take(int pieces) {
    while (pieces--)
        must(linear(), "cuMemAlloc");
}

static void ended(pid_t child) {
    int status;
    waitpid(child, &status, 0);
}

/* The driver works for no child of a process that uses it; what the child says comes first. */
static void forked(void) {
    take(5);
    pid_t child = fork();
    if (child == 0) {
        took("child ", linear);
        _exit(0);
    }
    ended(child);
    took("", linear);
}

/* A child that lives on when its parent is gone, until its input ends. */
static void orphan(void) {
    take(5);
    if (fork() == 0) {
        while (getchar() != EOF)
            continue;
        _exit(0);
    }
    printf("gone\n");
    fflush(stdout);
    _exit(0);
}

/* Before the driver is used each child is a process of its own: the second begins when the first has what it gets. */
static void forked_first(void) {
    pid_t children[2];
    int done[2];
    char byte;
    if (pipe(done))
        exit(1);
    for (int i = 0; i < 2; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            begin();
            took("", linear);
            if (write(done[1], "", 1) == 1)
                pause();
            _exit(1);
        }
        if (read(done[0], &byte, 1) != 1)
            exit(1);
    }
    for (int i = 0; i < 2; i++) {
        kill(children[i], SIGKILL);
        ended(children[i]);
    }
}

static void started(char *self, pid_t (*start)(char *self)) {
    take(5);
    ended(start(self));
}

static pid_t by_fork(char *self) {
    pid_t child = fork();
    if (child == 0)
        _exit(execl(self, self, "linear", NULL));
    return child;
}

static pid_t by_vfork(char *self) {
    pid_t child = vfork();
    if (child == 0)
        _exit(execl(self, self, "linear", NULL));
    return child;
}

static pid_t by_spawn(char *self) {
    char *arguments[] = {self, "linear", NULL}, *none[] = {NULL};
    pid_t child = 0;
    posix_spawn(&child, self, NULL, NULL, arguments, none);
    return child;
}

static void lend(void) {
    CUdeviceptr at;
    CUipcMemHandle handle;
    must(cuMemAlloc(&at, 5 * PIECE), "cuMemAlloc");
    must(cuMemsetD32(at, 4711, 1), "cuMemsetD32");
    must(cuIpcGetMemHandle(&handle, at), "cuIpcGetMemHandle");
    for (size_t i = 0; i < sizeof handle; i++)
        printf("%02x", (unsigned char)handle.reserved[i]);
    printf("\n");
    fflush(stdout);
}

static void borrow(const char *text) {
    CUdeviceptr at;
    CUipcMemHandle handle;
    unsigned word = 0;
    for (size_t i = 0; i < sizeof handle; i++)
        sscanf(text + 2 * i, "%2hhx", (unsigned char *)&handle.reserved[i]);
    must(cuIpcOpenMemHandle(&at, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS), "cuIpcOpenMemHandle");
    must(cuMemcpyDtoH(&word, at, 4), "cuMemcpyDtoH");
    printf("%u: ", word);
    took("", linear);
}

static void green(void) {
    CUdevResource resource;
    CUdevResourceDesc description;
    CUgreenCtx made;
    must(cuDeviceGetDevResource(0, &resource, CU_DEV_RESOURCE_TYPE_SM), "cuDeviceGetDevResource");
    must(cuDevResourceGenerateDesc(&description, &resource, 1), "cuDevResourceGenerateDesc");
    must(cuGreenCtxCreate(&made, description, 0, CU_GREEN_CTX_DEFAULT_STREAM), "cuGreenCtxCreate");
    must(cuCtxFromGreenCtx(&context, made), "cuCtxFromGreenCtx");
    must(cuCtxSetCurrent(context), "cuCtxSetCurrent");
    took("", linear);
}

/* Contexts one after the other, each with an account of its own it may hope. */
static void contexts(void) {
    CUctxCreateParams parameters = {0};
    for (int i = 0; i < 4; i++) {
        must(cuCtxCreate(&context, &parameters, 0, 0), "cuCtxCreate");
        took(i < 3 ? "then " : "", linear);
    }
}

/* The thread that runs the time slices. */
static void timeslices(int signal) {
    char path[64], name[16] = "";
    CUmodule module;
    CUfunction spin;
    unsigned long long ns = 1000000;
    void *parameters[] = {&ns};
    must(cuModuleLoadData(&module, "any"), "cuModuleLoadData");
    must(cuModuleGetFunction(&spin, module, "spin"), "cuModuleGetFunction");
    must(cuLaunchKernel(spin, 1, 1, 1, 1, 1, 1, 0, stream, parameters, NULL), "cuLaunchKernel");
    for (pid_t thread = getpid() + 1; thread < getpid() + 64; thread++) {
        snprintf(path, sizeof path, "/proc/self/task/%d/comm", thread);
        FILE *comm = fopen(path, "r");
        if (comm && fgets(name, sizeof name, comm) && !strncmp(name, "vcuda", 5)) {
            printf("found ");
            fflush(stdout);
            syscall(SYS_tgkill, getpid(), thread, signal);
            usleep(100000);
            must(cuLaunchKernel(spin, 1, 1, 1, 1, 1, 1, 0, stream, parameters, NULL), "cuLaunchKernel");
            must(cuStreamSynchronize(stream), "cuStreamSynchronize");
            printf("goes on\n");
            return;
        }
    }
    printf("no thread\n");
}

static int direct(const char *way) {
    static const struct { const char *way; CUresult (*allocate)(void); } ways[] = {
        {"linear", linear}, {"pitched", pitched}, {"managed", managed}, {"async", ordered}, {"pool", pooled}, {"array", flat},
        {"array3d", three_sides}, {"mipmap", levels}, {"vmm", mapped}, {"graph", graph}, {"heap", heap},
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (!strcmp(way, ways[i].way)) {
            took("", ways[i].allocate);
            return 1;
        }
    return 0;
}

static void by_way(const char *way, char **argv) {
    CUmemPoolProps properties = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED, .location = {CU_MEM_LOCATION_TYPE_DEVICE, {0}}};
    if (!strcmp(way, "pool"))
        must(cuMemPoolCreate(&pool, &properties), "cuMemPoolCreate");
    if (direct(way))
        return;
    if (!strcmp(way, "fork")) forked();
    else if (!strcmp(way, "orphan")) orphan();
    else if (!strcmp(way, "exec")) take(5), execl(argv[0], argv[0], "linear", NULL);
    else if (!strcmp(way, "fork-exec")) started(argv[0], by_fork);
    else if (!strcmp(way, "vfork-exec")) started(argv[0], by_vfork);
    else if (!strcmp(way, "spawn")) started(argv[0], by_spawn);
    else if (!strcmp(way, "lend")) lend();
    else if (!strcmp(way, "borrow")) borrow(argv[2]);
    else if (!strcmp(way, "green")) green();
    else if (!strcmp(way, "contexts")) contexts();
    else if (!strcmp(way, "timeslices-usr1")) timeslices(SIGUSR1);
    else if (!strcmp(way, "timeslices-kill")) timeslices(SIGKILL);
    else printf("no such way\n");
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "fork-first")) {
        forked_first();
        return 0;
    }
    begin();
    by_way(argv[1], argv);
    fflush(stdout);
    while (!strcmp(argv[argc - 1], "hold") && getchar() != EOF)
        continue;
    return 0;
}
