/* A program that computes: `compute MODE KERNEL_NS SECONDS [KERNELS]`. With a number of kernels it ends after them, else after the
 * time. It prints what share of the card it got, from the end of its first kernel to the end of its last, how long it took in all
 * and the longest time between two of its launches. UNITS_PER_US: what the kernel counts in a microsecond, as `compute calibrate`
 * has measured it with the card to itself; without it the kernel counts nanoseconds, as that of the simulated driver does.
 * Modes `call`, `launch`, `alloc` and `start` print instead what that takes, in ns.
 */
#include <cuda.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

/* In a header for programs that are compiled for streams of their own threads only. */
CUresult cuLaunchKernel_ptsz(CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, CUstream, void **, void **);

/* Counts down. A clock would go on while another program's work is on the card. */
static const char *PTX = ".version 7.0\n.target sm_60\n.address_size 64\n"
    ".visible .entry spin(.param .u64 count) {\n"
    ".reg .u64 %left; .reg .pred %more;\n"
    "ld.param.u64 %left, [count];\n"
    "again: setp.ne.u64 %more, %left, 0;\n"
    "@!%more bra over;\n"
    "sub.u64 %left, %left, 1;\n"
    /* So that the compiler does not count for us. */
    "membar.cta;\n"
    "bra again;\n"
    "over: ret;\n}\n";

static CUfunction spin;
static uint64_t units;

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static void check(CUresult result, const char *what) {
    if (result) {
        printf("%s %d\n", what, result);
        exit(1);
    }
}

static CUresult kernel(uint64_t count, CUstream stream) {
    void *parameters[] = {&count};
    return cuLaunchKernel(spin, 1, 1, 1, 1, 1, 1, 0, stream, parameters, 0);
}

static int compare(const void *a, const void *b) { return *(uint32_t *)a < *(uint32_t *)b ? -1 : 1; }

static void one(const char *mode, CUstream stream) {
    CUdeviceptr address;
    size_t left, total;
    pid_t child;
    if (!strcmp(mode, "launch")) check(kernel(0, stream), "launch");
    else if (!strcmp(mode, "call")) check(cuMemGetInfo(&left, &total), "call");
    else if (!strcmp(mode, "alloc")) check(cuMemAlloc(&address, 4 << 20) || cuMemFree(address), "alloc");
    else check(posix_spawn(&child, "/bin/true", 0, 0, (char *[]){"true", 0}, 0) || waitpid(child, 0, 0) < 0, "start");
}

static void cost(const char *mode, CUstream stream, long count) {
    uint32_t *took = malloc(count * sizeof *took);
    for (long i = 0; i < count; i++) {
        /* A full queue would be what is measured. */
        if (i % 100 == 0) check(cuStreamSynchronize(stream), "sync");
        uint64_t start = now();
        one(mode, stream);
        took[i] = now() - start;
    }
    qsort(took, count, sizeof *took, compare);
    printf("p50 %u p99 %u\n", took[count / 2], took[count * 99 / 100]);
    exit(0);
}

/* What the kernel counts in a microsecond: the difference of a long and a short one, so that the launch does not count. */
static void calibrate(CUstream stream) {
    uint64_t count = 1 << 14, took = 0;
    check(kernel(count, stream) || cuStreamSynchronize(stream), "warm");
    while (took < 50000000 && count < 1ull << 40) {
        count *= 2;
        uint64_t start = now();
        check(kernel(count, stream) || cuStreamSynchronize(stream), "calibrate");
        took = now() - start;
    }
    uint64_t start = now();
    check(kernel(2 * count, stream) || cuStreamSynchronize(stream), "calibrate");
    uint64_t twice = now() - start;
    printf("units %llu\n", (unsigned long long)(count * 1000 / (twice - took)));
    exit(0);
}

static void graph(uint64_t count, CUstream stream) {
    /* Captured anew each time, ten kernels: nothing of it may be held up or charged before it is launched. */
    CUgraph captured;
    CUgraphExec made;
    check(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_RELAXED), "begin");
    for (int i = 0; i < 10; i++) check(kernel(count / 10, stream), "captured");
    check(cuStreamEndCapture(stream, &captured), "end");
    check(cuGraphInstantiateWithFlags(&made, captured, 0), "instantiate");
    check(cuGraphLaunch(made, stream), "graph");
    check(cuGraphExecDestroy(made), "destroy");
    check(cuGraphDestroy(captured), "destroy");
}

static void step(const char *mode, uint64_t count, CUstream *stream, CUevent event) {
    void *parameters[] = {&count};
    if (!strcmp(mode, "graph")) graph(count, *stream);
    else if (!strcmp(mode, "thread")) check(cuLaunchKernel_ptsz(spin, 1, 1, 1, 1, 1, 1, 0, 0, parameters, 0), "launch");
    else check(kernel(count, *stream), "launch");
    if (!strcmp(mode, "sync")) check(cuStreamSynchronize(*stream), "sync");
    if (!strcmp(mode, "query")) while (cuStreamQuery(*stream)) continue;
    if (!strcmp(mode, "event")) check(cuEventRecord(event, *stream) || cuEventSynchronize(event), "event");
    if (!strcmp(mode, "destroy")) check(cuStreamDestroy(*stream) || cuStreamCreate(stream, CU_STREAM_NON_BLOCKING), "destroy");
}

int main(int arguments, char **argument) {
    const char *mode = argument[1];
    uint64_t length = arguments > 2 ? strtoull(argument[2], 0, 10) : 0, time = arguments > 3 ? strtod(argument[3], 0) * 1e9 : 0;
    uint64_t kernels = arguments > 4 ? strtoull(argument[4], 0, 10) : UINT64_MAX;
    CUcontext context;
    CUdevice device;
    CUstream stream;
    CUmodule module;
    CUevent event;
    units = getenv("UNITS_PER_US") ? strtoull(getenv("UNITS_PER_US"), 0, 10) : 1000;
    check(cuInit(0), "init");
    check(cuDeviceGet(&device, 0), "device");
    check(cuDevicePrimaryCtxRetain(&context, device) || cuCtxSetCurrent(context), "context");
    check(cuModuleLoadData(&module, PTX), "module");
    check(cuModuleGetFunction(&spin, module, "spin"), "function");
    check(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING), "stream");
    check(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING), "event");
    if (!strcmp(mode, "calibrate")) calibrate(stream);
    if (!strcmp(mode, "call") || !strcmp(mode, "launch") || !strcmp(mode, "alloc")) cost(mode, stream, 100000);
    if (!strcmp(mode, "start")) cost(mode, stream, 300);
    if (!strcmp(mode, "default")) stream = 0;
    uint64_t count = length * units / 1000, begin = now(), done = 1, worst = 0;
    step(mode, count, &stream, event);
    check(cuCtxSynchronize(), "first");
    uint64_t first = now(), before = first;
    for (; done < kernels && now() < begin + time; done++) {
        step(mode, count, &stream, event);
        if (now() - before > worst) worst = now() - before;
        before = now();
    }
    /* One that has its share and does not use it. */
    if (!strcmp(mode, "leave")) while (now() < before + 2000000000ull) continue;
    check(cuCtxSynchronize(), "last");
    uint64_t end = now();
    printf("share %.2f kernels %llu took_ms %.1f worst_ms %.1f\n", end > first ? (done - 1) * length * 100. / (end - first) : 0.,
           (unsigned long long)done, (end - begin) / 1e6, worst / 1e6);
    return 0;
}
