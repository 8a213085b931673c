// A stand-in for libcuda.so.1 that has nothing but time: one card, which does one kernel after the other, whoever launched it.
// A function's handle is its length in ns. Processes share the card through the file that FAKE_CARD names: one number, when the
// card has done everything that it was given. No thread: work is a time at which it is done.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

typedef unsigned result;
enum { OK, INVALID = 1, NO_CONTEXT = 201, ILLEGAL_STATE = 401, NOT_READY = 600, IMPLICIT = 906, UNSUPPORTED = 900 };

struct stream { _Atomic uint64_t end; int captured; uint64_t graph; };
static struct stream legacy;
static __thread struct stream own;
static __thread void *current;
static int context;
static _Atomic uint64_t *card;
static atomic_int captures;

uint64_t fakeNow(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static void until(uint64_t end) {
    for (uint64_t now; (now = fakeNow()) < end;)
        if (end - now > 30000) {
            uint64_t nap = end - now - 20000;
            nanosleep(&(struct timespec){nap / 1000000000, nap % 1000000000}, 0);
        }
}

static struct stream *of(void *handle) {
    return (uintptr_t)handle <= 1 ? &legacy : (uintptr_t)handle == 2 ? &own : handle;
}

static result work(void *handle, uint64_t length) {
    struct stream *stream = of(handle);
    if (!current) return NO_CONTEXT;
    if (stream->captured) { stream->graph += length; return OK; }
    // A real driver's queue is bounded too.
    uint64_t now = fakeNow();
    if (length && stream->end > now && (stream->end - now) / length > 1000) until(stream->end - 500 * length);
    uint64_t was = atomic_load(card), start, end;
    do {
        now = fakeNow();
        start = was > now ? was : now;
        if (stream->end > start) start = stream->end;
        end = start + length;
    } while (!atomic_compare_exchange_weak(card, &was, end));
    stream->end = end;
    return OK;
}

uint64_t fakeEnd(void *stream) { return of(stream)->end; }
result cuInit(unsigned flags) {
    const char *path = getenv("FAKE_CARD");
    int file = open(path ? path : "/dev/null", O_RDWR | O_CLOEXEC);
    card = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    prctl(PR_SET_TIMERSLACK, 1000);
    return card == MAP_FAILED || flags ? INVALID : OK;
}
result cuDeviceGet(int *device, int place) { *device = place; return place ? INVALID : OK; }
result cuDeviceGetUuid_v2(unsigned char *uuid, int device) { memset(uuid, 0x11, 16); return device ? INVALID : OK; }
result cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) { *flags = 0; *active = 0; return OK; }
result cuCtxCreate_v2(void **made, unsigned flags, int device) { current = *made = &context; return OK; }
result cuCtxGetCurrent(void **told) { *told = current; return OK; }
result cuCtxSetCurrent(void *wanted) { current = wanted; return OK; }
result cuCtxGetDevice(int *device) { *device = 0; return current ? OK : NO_CONTEXT; }
result cuCtxDestroy_v2(void *gone) { current = 0; return OK; }
result cuStreamCreate(void **made, unsigned flags) { *made = calloc(1, sizeof(struct stream)); return OK; }
result cuStreamDestroy_v2(void *stream) { free(stream); return OK; }
result cuStreamQuery(void *handle) {
    if (of(handle)->captured) { of(handle)->captured = -1; return UNSUPPORTED; }
    if (of(handle) == &legacy && captures) return IMPLICIT;
    return of(handle)->end > fakeNow() ? NOT_READY : OK;
}
result cuStreamSynchronize(void *stream) { until(of(stream)->end); return OK; }
result cuCtxSynchronize(void) { until(atomic_load(card)); return OK; }
result cuMemAlloc_v2(uint64_t *address, size_t bytes) {
    static uint64_t next = 1ull << 40;
    *address = next;
    next += bytes + (2 << 20) - 1 & -(2ull << 20);
    return OK;
}
result cuMemFree_v2(uint64_t address) { return OK; }
result cuEventCreate(void **made, unsigned flags) { *made = calloc(1, sizeof(struct stream)); return OK; }
result cuEventDestroy_v2(void *event) { free(event); return OK; }
result cuEventRecord(void *event, void *stream) { ((struct stream *)event)->end = of(stream)->end; return OK; }
result cuEventQuery(void *event) { return ((struct stream *)event)->end > fakeNow() ? NOT_READY : OK; }
result cuEventSynchronize(void *event) { until(((struct stream *)event)->end); return OK; }
result cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                      unsigned shared, void *stream, void **parameters, void **extra) {
    return work(stream, (uint64_t)(uintptr_t)function);
}
result cuLaunchKernel_ptsz(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                           unsigned shared, void *stream, void **parameters, void **extra) {
    return work(stream ? stream : (void *)2, (uint64_t)(uintptr_t)function);
}
result cuStreamBeginCapture_v2(void *stream, unsigned mode) { of(stream)->captured = 1; of(stream)->graph = 0; captures++; return OK; }
result cuStreamIsCapturing(void *stream, unsigned *status) {
    *status = of(stream)->captured > 0 ? 1 : of(stream)->captured ? 2 : 0;
    return of(stream) == &legacy && captures ? IMPLICIT : OK;
}
result cuStreamEndCapture(void *stream, void **graph) {
    if (!of(stream)->captured) return ILLEGAL_STATE;
    int spoilt = of(stream)->captured < 0;
    of(stream)->captured = 0;
    captures--;
    *graph = (void *)(uintptr_t)of(stream)->graph;
    return spoilt ? 901 : OK;
}
result cuGraphInstantiateWithFlags(void **made, void *graph, uint64_t flags) { *made = graph; return OK; }
result cuGraphLaunch(void *graph, void *stream) { return work(stream, (uint64_t)(uintptr_t)graph); }
