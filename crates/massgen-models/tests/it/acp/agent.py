"""An agent for tests: speaks the Agent Client Protocol over stdio, with the standard library only.

It does what the lines of its prompt say that begin with `do: `, in order, and writes every
message it gets to the file after `--log`. Options bend it:

    --start crash|garbage|stray|version|auth|huge|silent   how it greets
    --no-load        it cannot open a session of an earlier process
    --resume         it resumes sessions instead of loading them
    --store FILE     keeps the names of its sessions there
    --mcp legacy|new which generation of MCP client it is
    --stubborn       it does not stop when told to
"""

import json
import os
import queue
import subprocess
import sys
import threading


def option(name, default=None):
    if name not in sys.argv:
        return default
    return sys.argv[sys.argv.index(name) + 1]


START = option("--start", "well")
LOG = option("--log")
STORE = option("--store")
lock = threading.Lock()
answers = {}
ids = iter(range(1, 1_000_000))
cancelled = threading.Event()


def log(entry):
    if LOG:
        with lock, open(LOG, "a") as file:
            file.write(json.dumps(entry) + "\n")


def send(message):
    with lock:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()


def ask(method, params):
    """Asks the client and waits for its answer."""
    name = f"agent-{next(ids)}"
    answers[name] = queue.Queue()
    send({"id": name, "method": method, "params": params})
    return answers[name].get()


class Tools:
    """The client's MCP server, started as its session says."""

    def __init__(self, server):
        env = {**os.environ, **{pair["name"]: pair["value"] for pair in server["env"]}}
        command = [server["command"], *server["args"]]
        self.process = subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.is_new = option("--mcp", "legacy") == "new"
        if not self.is_new:
            self.request(
                "initialize",
                {
                    "protocolVersion": "2025-06-18",
                    "capabilities": {},
                    "clientInfo": {"name": "fake", "version": "1"},
                },
            )
            self.write({"method": "notifications/initialized"})

    def write(self, message):
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.process.stdin.flush()

    def request(self, method, params):
        if self.is_new:
            params = {
                **params,
                "_meta": {
                    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                    "io.modelcontextprotocol/clientCapabilities": {},
                    "io.modelcontextprotocol/clientInfo": {"name": "fake", "version": "1"},
                },
            }
        name = next(ids)
        self.write({"id": name, "method": method, "params": params})
        for line in self.process.stdout:
            message = json.loads(line)
            log({"mcp": message})
            if message.get("id") == name:
                return message.get("result") or {"error": message.get("error")}
        return {"error": "the tool server has ended"}


sessions = {}


def stored():
    if STORE and os.path.exists(STORE):
        with open(STORE) as file:
            return file.read().split()
    return []


def update(session, update_kind, **fields):
    params = {"sessionId": session, "update": {"sessionUpdate": update_kind, **fields}}
    send({"method": "session/update", "params": params})


def text(content):
    return {"type": "text", "text": content}


def tool(session, name, arguments, result):
    update(
        session, "tool_call", toolCallId="t1", title=name, kind="execute", status="pending",
        rawInput={},
    )
    update(session, "tool_call_update", toolCallId="t1", rawInput=json.loads(arguments))
    update(
        session, "tool_call_update", toolCallId="t1",
        status="failed" if result == "FAIL" else "completed",
        content=[{"type": "content", "content": text(result)}],
    )


def permission(session, kind, title, path):
    options = [
        {"optionId": "ever", "name": "Always", "kind": "allow_always"},
        {"optionId": "once", "name": "Once", "kind": "allow_once"},
        {"optionId": "no", "name": "No", "kind": "reject_once"},
    ]
    call = {"toolCallId": "p1", "title": title, "kind": kind, "rawInput": {"file_path": path}}
    params = {"sessionId": session, "toolCall": call, "options": options}
    answer = ask("session/request_permission", params)
    return answer["result"]["outcome"].get("optionId", "cancelled")


def act(session, verb, rest, state):
    words = rest.split(" ")
    if verb == "say":
        update(session, "agent_message_chunk", content=text(rest))
    elif verb == "think":
        update(session, "agent_thought_chunk", content=text(rest))
    elif verb == "tool":
        tool(session, *words)
    elif verb == "plan":
        entries = [
            {"content": "first", "priority": "high", "status": "completed"},
            {"content": "second", "priority": "low", "status": "pending"},
        ]
        update(session, "plan", entries=entries)
    elif verb == "strange":
        update(session, "hologram", depth=3)
    elif verb == "call":
        result = sessions[session].request(
            "tools/call", {"name": words[0], "arguments": json.loads(" ".join(words[1:]))}
        )
        update(session, "agent_message_chunk", content=text(f"[{result['content'][0]['text']}]"))
    elif verb == "list":
        names = [tool["name"] for tool in sessions[session].request("tools/list", {})["tools"]]
        update(session, "agent_message_chunk", content=text(" ".join(names)))
    elif verb == "permission":
        answer = permission(session, words[0], "Change it", " ".join(words[1:]))
        update(session, "agent_message_chunk", content=text(answer))
    elif verb == "read":
        answer = ask("fs/read_text_file", {"sessionId": session, "path": rest})
        said = answer.get("result", {}).get("content") or answer["error"]["data"]
        update(session, "agent_message_chunk", content=text(said))
    elif verb == "write":
        params = {"sessionId": session, "path": words[0], "content": " ".join(words[1:])}
        answer = ask("fs/write_text_file", params)
        said = answer["error"]["data"] if "error" in answer else "written"
        update(session, "agent_message_chunk", content=text(said))
    elif verb == "terminal":
        answer = ask("terminal/create", {"sessionId": session, "command": "ls"})
        update(session, "agent_message_chunk", content=text(str(answer["error"]["code"])))
    elif verb == "usage":
        state["usage"] = json.loads(rest)
    elif verb == "cost":
        cost = {"amount": float(rest), "currency": "USD"}
        update(session, "usage_update", used=10, size=100, cost=cost)
    elif verb == "stop":
        state["stopReason"] = rest
    elif verb == "fail":
        state["error"] = {"code": int(words[0]), "message": " ".join(words[1:])}
    elif verb == "flood":
        for n in range(int(rest)):
            update(session, "agent_message_chunk", content=text("x"))
    elif verb == "wait":
        # Until the turn is cancelled.
        cancelled.wait()
        state["stopReason"] = "cancelled"
    elif verb == "hang":
        threading.Event().wait()
    elif verb == "env":
        update(session, "agent_message_chunk", content=text(os.environ.get(rest, "unset")))
    elif verb == "here":
        with open(words[0], "w") as file:
            file.write(" ".join(words[1:]))
    elif verb == "cwd":
        update(session, "agent_message_chunk", content=text(os.getcwd()))
    elif verb == "child":
        # Something of its own that would outlive it.
        child = subprocess.Popen(["sleep", "600"])
        update(session, "agent_message_chunk", content=text(str(child.pid)))
    elif verb == "pid":
        update(session, "agent_message_chunk", content=text(str(os.getpid())))
    elif verb == "garbage":
        with lock:
            sys.stdout.write('{"jsonrpc": "2.0", "method": \n')
            sys.stdout.flush()
        threading.Event().wait()
    elif verb == "huge":
        with lock:
            for _ in range(17):
                sys.stdout.write("{" * 1024 * 1024)
            sys.stdout.flush()
        threading.Event().wait()
    elif verb == "crash":
        sys.stderr.write(f"fatal: {rest}\n")
        sys.stderr.flush()
        os._exit(3)


def prompt(name, params):
    session = params["sessionId"]
    said = "\n".join(part.get("text", "") for part in params["prompt"])
    state = {"stopReason": "end_turn"}
    for line in said.split("\n"):
        if line.startswith("do: "):
            verb, _, rest = line[4:].partition(" ")
            act(session, verb, rest, state)
        if cancelled.is_set() and "--stubborn" not in sys.argv:
            state["stopReason"] = "cancelled"
            break
    error = state.pop("error", None)
    send({"id": name, "error": error} if error else {"id": name, "result": state})


def open_session(session, params):
    sessions[session] = Tools(params["mcpServers"][0])
    # Agents look at the tools when they open a session; ours waits for that.
    sessions[session].request("tools/list", {})
    if STORE and session not in stored():
        with open(STORE, "a") as file:
            file.write(session + "\n")


def answer(name, method, params):
    if method == "initialize":
        if START == "crash":
            sys.stderr.write("fatal: no config; key is sk-test-not-to-be-shown\n")
            sys.stderr.flush()
            os._exit(2)
        if START == "silent":
            return
        capabilities = {"loadSession": "--no-load" not in sys.argv}
        if "--resume" in sys.argv:
            capabilities["sessionCapabilities"] = {"resume": {}}
        version = 9 if START == "version" else 1
        result = {"protocolVersion": version, "agentCapabilities": capabilities}
        send({"id": name, "result": result})
    elif method == "session/new":
        if START == "auth":
            error = {"code": -32000, "message": "Authentication required"}
            return send({"id": name, "error": error})
        session = f"s{len(stored()) + len(sessions) + 1}"
        open_session(session, params)
        result = {
            "sessionId": session,
            "modes": {
                "currentModeId": "default",
                "availableModes": [{"id": "default", "name": "D"}, {"id": "plan", "name": "P"}],
            },
            "configOptions": [{
                "id": "model", "name": "Model", "category": "model", "type": "select",
                "currentValue": "small",
                "options": [{"value": "small", "name": "S"}, {"value": "large", "name": "L"}],
            }],
        }
        send({"id": name, "result": result})
    elif method in ("session/load", "session/resume"):
        session = params["sessionId"]
        if session not in stored():
            return send({"id": name, "error": {"code": -32002, "message": "no such session"}})
        open_session(session, params)
        if method == "session/load":
            update(session, "agent_message_chunk", content=text("said long ago"))
        send({"id": name, "result": {}})
    elif method == "session/set_config_option":
        send({"id": name, "result": {"configOptions": []}})
    elif method == "session/set_mode":
        send({"id": name, "result": {}})
    elif method == "session/prompt":
        cancelled.clear()
        threading.Thread(target=prompt, args=(name, params), daemon=True).start()
    elif method == "session/cancel":
        cancelled.set()


if START == "garbage":
    print("usage: agent [--acp]\n" * 40, flush=True)
if START == "stray":
    print("Checking for updates ...", flush=True)
if START == "huge":
    print("{" * (17 * 1024 * 1024), flush=True)
for line in sys.stdin:
    message = json.loads(line)
    log(message)
    if "method" in message:
        answer(message.get("id"), message["method"], message.get("params", {}))
    elif message.get("id") in answers:
        answers[message["id"]].put(message)
