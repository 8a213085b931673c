"""What programs that people run do in a slice: a line for each, "passed NAME" or "FAILED NAME: why". The argument is the slice's MiB."""
import os
import subprocess
import sys

MIB = 1 << 20
SLICE = int(sys.argv[1])


def total():
    import torch

    told = torch.cuda.mem_get_info()[1] // MIB
    assert told == SLICE, f"{told} MiB"
    told = torch.cuda.get_device_properties(0).total_memory // MIB
    assert told == SLICE, f"{told} MiB as a property"


def fill():
    """Until there is no more: never more than the slice, and nearly all that is told to be free."""
    import torch

    free, held = torch.cuda.mem_get_info()[0] // MIB, []
    try:
        while True:
            held.append(torch.zeros(16 * MIB, dtype=torch.uint8, device="cuda"))
    except torch.OutOfMemoryError:
        given = 16 * len(held)
    assert free - 64 <= given <= SLICE, f"{given} MiB of {free} that were free"
    assert all(int(part[-1]) == 0 for part in held)


def graph():
    import torch

    a = torch.randn(512, 512, device="cuda")
    torch.matmul(a, a)
    captured = torch.cuda.CUDAGraph()
    with torch.cuda.graph(captured):
        b = torch.matmul(a, a) + 1
    for _ in range(20):
        captured.replay()
    torch.cuda.synchronize()
    assert torch.allclose(b, torch.matmul(a, a) + 1)


def triton():
    import torch

    compiled = torch.compile(lambda x: torch.sin(x) * 2 + torch.cos(x))
    x = torch.randn(100_000, device="cuda")
    assert torch.allclose(compiled(x), torch.sin(x) * 2 + torch.cos(x), atol=1e-5)


def convolution():
    import torch

    x, w = torch.randn(8, 16, 64, 64, device="cuda"), torch.randn(32, 16, 3, 3, device="cuda")
    y = torch.nn.functional.conv2d(x, w)
    assert torch.allclose(y.cpu(), torch.nn.functional.conv2d(x.cpu(), w.cpu()), atol=1e-2)


def cupy():
    import cupy

    a = cupy.arange(1_000_000, dtype=cupy.int64)
    assert int(a.sum()) == 499_999_500_000
    assert cupy.cuda.runtime.memGetInfo()[1] // MIB == SLICE
    pool = cupy.cuda.MemoryAsyncPool()
    with cupy.cuda.using_allocator(pool.malloc):
        assert int(cupy.ones(1_000_000, dtype=cupy.int32).sum()) == 1_000_000


def jax():
    import jax
    import jax.numpy as jnp

    assert jax.default_backend() == "gpu", jax.default_backend()
    assert float((jnp.ones((500, 500)) @ jnp.ones((500, 500))).sum()) == 500.0**3


def child(queue, back):
    import torch

    part = queue.get()
    part += 1
    torch.cuda.synchronize()
    back.put(float(part.sum()))


def shared():
    """A tensor that another process has too, by CUDA's IPC."""
    import torch
    import torch.multiprocessing as processes

    context = processes.get_context("spawn")
    queue, back = context.Queue(), context.Queue()
    other = context.Process(target=child, args=(queue, back))
    other.start()
    part = torch.zeros(1000, device="cuda")
    queue.put(part)
    assert back.get(timeout=60) == 1000.0
    other.join(60)
    assert float(part.sum()) == 1000.0


def smi():
    query = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    told = subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()
    assert told == [str(SLICE)], told


# Each in a program of its own, so that none has what another left.
TESTS = {
    "nvidia-smi sees the slice": (smi, {}),
    "PyTorch sees the slice": (total, {}),
    "PyTorch ends at the slice": (fill, {}),
    "PyTorch ends at the slice with expandable segments": (fill, {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"}),
    "PyTorch ends at the slice with cudaMallocAsync": (fill, {"PYTORCH_CUDA_ALLOC_CONF": "backend:cudaMallocAsync"}),
    "PyTorch captures and replays a graph": (graph, {}),
    "PyTorch compiles with Triton": (triton, {}),
    "cuDNN convolves": (convolution, {}),
    "PyTorch shares a tensor with another process": (shared, {}),
    "CuPy computes": (cupy, {}),
    "JAX computes": (jax, {}),
}


def main():
    for name, (_, environment) in TESTS.items():
        command = [sys.executable, __file__, str(SLICE), name]
        try:
            run = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=90)
            said, ended = (run.stderr.strip().splitlines() or [""])[-1], run.returncode
        except subprocess.TimeoutExpired:
            said, ended = "no end after 90 s", 1
        print(f"passed {name}" if ended == 0 else f"FAILED {name}: {said}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        TESTS[sys.argv[2]][0]()
    else:
        main()
