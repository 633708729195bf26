"""A server over stdio that misbehaves as it is told: `server.py LOG [FAULT…]`.

Everything it receives goes to LOG, a line each, so that tests can see it.
"""
import json
import os
import subprocess
import sys
import threading
import time

LOG, FAULTS = sys.argv[1], sys.argv[2:]
PNG = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5E"
       "rkJggg==")
lock = threading.Lock()
count = 0
cancelled = set()
answers = {}
answered = threading.Condition()


def note(entry):
    with open(LOG, "a") as log:
        log.write(json.dumps(entry) + "\n")


def send(message):
    with lock:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        sys.stdout.flush()


def text(words, **more):
    return {"content": [{"type": "text", "text": words}], **more}


def ask(method, params):
    """Asks the client and waits for what it says."""
    send({"id": "q-" + method, "method": method, "params": params})
    with answered:
        answered.wait_for(lambda: "q-" + method in answers, timeout=5)
    return answers.get("q-" + method)


def call(id, params):
    global count
    name, arguments = params["name"], params.get("arguments", {})
    token = params.get("_meta", {}).get("progressToken")
    if name == "echo":
        return text(arguments.get("text", ""))
    if name == "count":
        count += 1
        return text(str(count))
    if name == "die":
        os._exit(1)
    if name == "sleep":
        until = time.time() + arguments.get("seconds", 30)
        while time.time() < until and id not in cancelled:
            time.sleep(0.01)
        return text("slept")
    if name == "progress":
        for n in range(arguments["steps"]):
            send({"method": "notifications/progress", "params": {
                "progressToken": token, "progress": n + 1, "total": arguments["steps"],
                "message": "step\u001b[1m %d" % (n + 1)}})
            time.sleep(arguments.get("pause", 0))
        return text("done")
    if name == "log":
        send({"method": "notifications/message", "params": {"level": "info", "data": "a word"}})
        return text("logged")
    if name == "huge":
        return text("x" * arguments["bytes"])
    if name == "garbage":
        with lock:
            sys.stdout.write("this is no message\n\n{\"half\": \n[1, 2]\n\x00\xff\n")
            sys.stdout.flush()
        return text("after the garbage")
    if name == "error":
        return text("no such file", isError=True)
    if name == "image":
        return {"content": [{"type": "image", "data": PNG, "mimeType": "image/png"}]}
    if name == "environment":
        return text(json.dumps(dict(os.environ)))
    if name == "where":
        return text(os.getcwd())
    if name == "write":
        try:
            with open(arguments["path"], "w") as file:
                file.write("written")
        except OSError as error:
            return text(str(error), isError=True)
        return text("written")
    if name == "read":
        try:
            return text(open(arguments["path"]).read())
        except OSError as error:
            return text(str(error), isError=True)
    if name == "child":
        child = subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return text("%d %d" % (os.getpid(), child.pid))
    if name == "roots":
        return text(json.dumps(ask("roots/list", {})))
    if name == "sampling":
        return text(json.dumps(ask("sampling/createMessage", {"messages": [], "maxTokens": 1})))
    if name == "form":
        return text(json.dumps(ask("elicitation/create", {
            "message": "your name?", "requestedSchema": {"type": "object", "properties": {}}})))
    if name == "others":
        send({"method": "notifications/tools/list_changed"})
        return text("announced")
    if name == "asks":
        if "inputResponses" in params:
            return text(json.dumps([params["inputResponses"], params.get("requestState")]))
        return {"resultType": "input_required", "requestState": "s-1", "inputRequests": {
            "name": {"method": "elicitation/create", "params": {
                "message": "your name?", "requestedSchema": {"type": "object", "properties": {}}}}}}
    if name == "asks_forever":
        return {"resultType": "input_required", "requestState": "s"}
    return None


NAMES = ["echo", "count", "die", "sleep", "progress", "log", "huge", "garbage", "error", "image",
         "environment", "where", "write", "read", "child", "roots", "sampling", "form", "others",
         "asks", "asks_forever", "refuse"]


def tools(cursor):
    listed = [{"name": name, "inputSchema": {"type": "object"}} for name in NAMES]
    for fault in FAULTS:
        if fault.startswith("tools="):
            listed = [{"name": "tool%04d" % n, "inputSchema": {"type": "object"}}
                      for n in range(int(fault[6:]))]
    if "broken-list" in FAULTS:
        listed += [{"name": "echo", "inputSchema": {"type": "object"}},
                   {"name": "schema is a word", "inputSchema": "word"},
                   {"name": "no schema at all"},
                   {"description": "no name"}, 7]
    if "pages" in FAULTS:
        at = int(cursor or 0)
        page = {"tools": listed[at:at + 1]}
        if at + 1 < len(listed):
            page["nextCursor"] = str(at + 1)
        return page
    if "endless" in FAULTS:
        return {"tools": [], "nextCursor": str(time.time())}
    return {"tools": listed}


def handle(message):
    id, method, params = message.get("id"), message.get("method"), message.get("params") or {}
    if method is None:
        with answered:
            answers[id] = message.get("result", message.get("error"))
            answered.notify_all()
        return
    if method == "notifications/cancelled":
        cancelled.add(params.get("requestId"))
        return
    if id is None:
        return
    if method == "server/discover":
        if "modern" in FAULTS:
            return send({"id": id, "result": {
                "resultType": "complete", "supportedVersions": ["2026-07-28"], "ttlMs": 0,
                "cacheScope": "private", "serverInfo": {"name": "faulty", "version": "1"},
                "capabilities": {"tools": {"listChanged": True}}}})
        if "dies-of-discover" in FAULTS:
            os._exit(7)
        if "ignores-discover" in FAULTS:
            return
    if method == "subscriptions/listen" and "modern" in FAULTS:
        meta = {"io.modelcontextprotocol/subscriptionId": id}
        send({"method": "notifications/subscriptions/acknowledged", "params": {
            "_meta": meta, "notifications": {"toolsListChanged": True}}})
        return send({"method": "notifications/tools/list_changed", "params": {"_meta": meta}})
    if method == "initialize" and "modern" not in FAULTS:
        return send({"id": id, "result": {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {"listChanged": "late-tool" in FAULTS}},
            "serverInfo": {"name": "faulty", "version": "1"}}})
    if method == "tools/list":
        if "late-tool" in FAULTS and "late" not in NAMES:
            send({"id": id, "result": tools(None)})
            NAMES.append("late")
            return send({"method": "notifications/tools/list_changed"})
        if os.path.exists(LOG + ".broken"):
            os._exit(7)
        return send({"id": id, "result": tools(params.get("cursor"))})
    if method == "tools/call":
        if params["name"] == "refuse":
            return send({"id": id, "error": {"code": -32602, "message": "wrong argument",
                                             "data": {"field": "x"}}})
        if "dies-of-calls" in FAULTS:
            os._exit(1)
        result = call(id, params)
        if result is not None:
            if "modern" in FAULTS:
                result.setdefault("resultType", "complete")
            return send({"id": id, "result": result})
    send({"id": id, "error": {"code": -32601, "message": "unknown method"}})


note({"started": os.getpid()})
if "crashes" in FAULTS:
    print("Traceback: the key %s is wrong" % os.environ.get("API_KEY"), file=sys.stderr)
    print("giving up\u001b[31m", file=sys.stderr)
    sys.exit(3)
if "crashes-again" in FAULTS and sum("started" in line for line in open(LOG)) > 1:
    sys.exit(3)
if "greets" in FAULTS:
    print("Welcome to the server!\nListening on stdio", flush=True)
if "mute" in FAULTS:
    time.sleep(1000)
if "stays" in FAULTS:
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

for line in sys.stdin:
    message = json.loads(line)
    note(message)
    if message.get("method") == "tools/call":
        threading.Thread(target=handle, args=(message,), daemon=True).start()
    else:
        handle(message)
if "stays" in FAULTS:
    time.sleep(1000)
