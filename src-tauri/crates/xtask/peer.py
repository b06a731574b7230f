"""The peer of `cargo xtask bench --peer`: llama.cpp's own server code, prebuilt, through xllamacpp.

Started with the folder xllamacpp lies in, it loads the model, answers one prompt and prints one JSON line with the
fields of `workly-cli chat --json`'s `done` line:

- time_to_first_token_ms: from handing over the message (chat template and tokenizing included, model already loaded
  and warmed up) to the first generated token arriving at the caller;
- tokens_per_second: the intervals between generated tokens over the time from the first token to the last, by the
  server's own clock, so the prompt is not in it.
"""

import argparse
import json
import sys
import time


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--package-folder", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--tokens", type=int, required=True)
    parser.add_argument("--context", type=int, required=True)
    return parser.parse_args()


def main():
    asked = arguments()
    sys.path.insert(0, asked.package_folder)
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = asked.model
    params.n_ctx = asked.context
    params.n_gpu_layers = 0
    params.n_parallel = 1
    params.cpuparams.n_threads = asked.threads
    params.cpuparams_batch.n_threads = asked.threads
    params.warmup = True
    params.cache_ram_mib = 0
    server = xllamacpp.Server(params)

    first_token = None
    timings = None
    text = []

    def received(chunk):
        nonlocal first_token, timings
        if "error" in chunk:
            sys.exit(f"the peer reports an error: {chunk['error']}")
        timings = chunk.get("timings", timings)
        for choice in chunk.get("choices", []):
            content = choice.get("delta", {}).get("content")
            if content:
                first_token = first_token or time.perf_counter()
                text.append(content)

    started = time.perf_counter()
    server.handle_chat_completions(
        {
            "messages": [{"role": "user", "content": asked.prompt}],
            "max_tokens": asked.tokens,
            "temperature": 0,
            "seed": 1,
            "ignore_eos": True,
            "cache_prompt": False,
            "stream": True,
        },
        received,
    )
    if timings is None or first_token is None:
        sys.exit("the peer ended without timings")
    result = {
        "type": "done",
        "tokens": timings["predicted_n"],
        "tokens_per_second": (timings["predicted_n"] - 1) / timings["predicted_ms"] * 1000,
        "prompt_tokens": timings["prompt_n"] + timings["cache_n"],
        "cached_prompt_tokens": timings["cache_n"],
        "time_to_first_token_ms": (first_token - started) * 1000,
        "text": "".join(text),
    }
    print(json.dumps(result), flush=True)


main()
