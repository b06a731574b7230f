#!/usr/bin/env python3
"""A worker that speaks the protocol and computes nothing: its answers are numbers, its faults are asked for.

It reads how to behave from `behaviour.json` beside itself, again for every command, so that a test can change its mind.
Each start, load and end is a line in `log` there.
"""

import json
import os
import queue
import struct
import sys
import threading
import time

FOLDER = os.path.dirname(os.path.abspath(sys.argv[0]))
ON_GPU = "all" in sys.argv
LAYERS = 10
MIB = 1 << 20
OUT = os.fdopen(os.dup(1), "wb", buffering=0)
LOCK = threading.Lock()


def behaviour(key, default):
    try:
        with open(os.path.join(FOLDER, "behaviour.json")) as file:
            known = json.load(file)
    except (OSError, ValueError):
        known = {}
    place = "gpu_" if ON_GPU else "cpu_"
    return known.get(place + key, known.get(key, default))


def log(*words):
    with open(os.path.join(FOLDER, "log"), "a") as file:
        file.write(" ".join(map(str, words)) + "\n")


def say(id, reply):
    frame = json.dumps({"id": id, "reply": reply}).encode()
    with LOCK:
        OUT.write(struct.pack("<I", len(frame)) + frame)


def read_exactly(count):
    data = b""
    while len(data) < count:
        part = os.read(0, count - len(data))
        if not part:
            os._exit(0)
        data += part
    return data


def used_by_others():
    """Bytes of the card that workers with layers on it hold, those that ended less than a moment ago among them."""
    used, late = 0, behaviour("late_s", 0)
    for name in os.listdir(FOLDER):
        if not name.startswith("gpu-"):
            continue
        path = os.path.join(FOLDER, name)
        process = int(name[4:])
        if process == os.getpid():
            continue
        try:
            size = int(open(path).read())
            os.kill(process, 0)
            os.utime(path)
            used += size
        except ProcessLookupError:
            if time.time() - os.stat(path).st_mtime < late:
                used += size
        except (OSError, ValueError):
            pass
    return used


def device():
    total = 1000 * MIB
    return {
        "name": "Fake0", "description": "a card", "backend": "Fake", "kind": "discrete_gpu",
        "pci_address": behaviour("pci_address", None), "memory_total": total, "memory_free": total - used_by_others(),
    }


def footprints():
    by_layers = [
        {"weights": n * 40 * MIB, "kv_cache": 0, "compute": 0, "backend": 0} for n in range(LAYERS + 1)
    ]
    return {"type": "footprints", "context_tokens": 4096, "by_layers": by_layers}


def model(request):
    return {
        "type": "loaded", "name": os.path.basename(request["path"]), "architecture": "fake", "parameters": 1,
        "size_bytes": 1, "layers": LAYERS - 1, "trained_context_tokens": 4096, "context_tokens": 4096,
        "gpu_layers": request["gpu_layers"], "gpu_device": "a card" if request["gpu_layers"] else None, "threads": 1,
    }


def failed(code, message):
    return {"type": "failed", "code": code, "message": message}


class Interruptions:
    def __init__(self):
        self.noted = {}

    def of(self, id):
        return self.noted.get(id)

    def note(self, id, what):
        if what[0] == "cancel" or id not in self.noted:
            self.noted[id] = what


INTERRUPTIONS = Interruptions()
COMMANDS = queue.Queue()


def read():
    while True:
        (length,) = struct.unpack("<I", read_exactly(4))
        request = json.loads(read_exactly(length))
        id, command = request["id"], request["command"]
        kind = command["type"]
        if kind == "cancel":
            INTERRUPTIONS.note(command["request"], ("cancel",))
        elif kind == "hand_over":
            log("hand over")
            INTERRUPTIONS.note(command["request"], ("hand_over", command["state"]))
        elif kind == "devices":
            say(id, {"type": "devices", "devices": [device()] if ON_GPU else []})
        else:
            COMMANDS.put((id, command))


BUSY = threading.Event()
PROGRESS = [0]


def heartbeat():
    while True:
        time.sleep(0.25)
        if BUSY.is_set() and not behaviour("hangs", False):
            say(0, {"type": "heartbeat", "progress": PROGRESS[0]})


def write(id, request, answer):
    """Tokens with their own index as their text, one after the other."""
    limit = request["max_tokens"] or 1000
    while True:
        while behaviour("hangs", False):
            time.sleep(0.02)
        interruption = INTERRUPTIONS.of(id)
        if interruption and interruption[0] == "cancel" and not behaviour("ignores_cancel", False):
            return done(id, request, answer, "cancelled")
        if interruption and interruption[0] == "hand_over":
            time.sleep(behaviour("hand_over_s", 0))
            if INTERRUPTIONS.of(id)[0] == "cancel" and behaviour("hears_cancel_while_saving", False):
                return done(id, request, answer, "cancelled")
            checkpoint(id, interruption[1], answer)
            return {
                "type": "handed_over", "answer": answer, "state_bytes": 1, "saved_in_ms": 1.0,
            }
        if answer["tokens"] >= limit:
            return done(id, request, answer, "length")
        index = answer["tokens"] + behaviour("skips", 0)
        answer["history"].append(1000 + answer["tokens"])
        answer["tokens"] += 1
        PROGRESS[0] += 1
        say(id, {"type": "token", "index": index, "id": 1000 + index, "text": f"{index} "})
        if answer["tokens"] == 1:
            checkpoint(id, request["state"], answer)
        time.sleep(behaviour("token_s", 0.02))


def checkpoint(id, path, answer):
    """Saves the token ids in the place of a KV cache."""
    if not path:
        return
    with open(path, "w") as file:
        json.dump(answer["history"], file)
    tokens = len(answer["history"])
    say(id, {"type": "checkpointed", "tokens": tokens, "bytes": 8 * tokens})


def saved(path):
    """How many tokens are saved there."""
    try:
        with open(path) as file:
            return len(json.load(file))
    except (TypeError, OSError, ValueError):
        return 0


def done(id, request, answer, stop):
    checkpoint(id, request["state"], answer)
    return {
        "type": "done", "tokens": answer["tokens"], "seconds": 1.0, "prompt_tokens": answer["prompt_tokens"],
        "cached_prompt_tokens": 0, "stop": stop,
    }


def serve(id, command):
    kind = command["type"]
    if kind == "load":
        place = "gpu" if command["gpu_layers"] else "cpu"
        log("load", place, command["gpu_layers"], os.path.basename(command["path"]), command["kv_type"])
        time.sleep(behaviour("load_s", 0))
        while behaviour("load_waits", False):
            time.sleep(0.02)
        refusal = behaviour("refuses", None)
        if refusal:
            return failed(refusal, "It does not fit.")
        if command["gpu_layers"]:
            size = command["gpu_layers"] * 40 * MIB
            with open(os.path.join(FOLDER, f"gpu-{os.getpid()}"), "w") as file:
                file.write(str(size))
            # For a card that NVML plays.
            with open(os.path.join(FOLDER, "own"), "a") as file:
                file.write(f"{os.getpid()} {size}\n")
        return model(command)
    if kind == "footprint":
        log("footprint", command["kv_type"])
        return footprints()
    if kind == "generate":
        log("generate", saved(command["state"]))
        answer = {
            "history": [1, 2, 3], "prompt_tokens": 3, "cached_prompt_tokens": 0, "dropped_turns": 0, "tokens": 0, "seconds": 0.0,
            "text": command_text(), "withheld": [],
        }
        say(id, {"type": "prompt_tokens", "tokens": [1, 2, 3]})
        say(id, {"type": "prompt", "done": 3, "total": 3, "dropped_turns": 0})
        return write(id, command, answer)
    if kind == "resume":
        tokens = saved(command["request"]["state"])
        log("resume", "gpu" if ON_GPU else "cpu", "exact" if tokens else "tokens")
        say(id, {"type": "resumed", "restored_tokens": tokens, "restored_in_ms": 0.1})
        return write(id, command["request"], command["answer"])
    if kind == "restore":
        tokens = saved(command["state"])
        log("restore", tokens)
        return {"type": "restored", "tokens": tokens}
    return failed("protocol", "This worker does not know that command.")


def command_text():
    """What `AnswerText` is as JSON, taken over from the first resume; before that, an empty one."""
    return json.loads(os.environ.get("WORKLY_TEST_ANSWER_TEXT", "null")) or behaviour("answer_text", {})


def main():
    log("start", "gpu" if ON_GPU else "cpu")
    say(0, {"type": "hello", "protocol": behaviour("protocol", 2), "version": "test"})
    threading.Thread(target=read, daemon=True).start()
    threading.Thread(target=heartbeat, daemon=True).start()
    while True:
        id, command = COMMANDS.get()
        BUSY.set()
        try:
            reply = serve(id, command)
        except BrokenPipeError:
            os._exit(0)
        BUSY.clear()
        say(id, reply)


main()
