"""An AG2 agent behind Agent2Agent, whose model is the server at the address given.

    python ag2_agent.py http://127.0.0.1:PORT/v1

Prints the agent's address and serves until it is killed.
"""

import socket
import sys

import uvicorn
from ag2 import Agent
from ag2.a2a import A2AServer
from ag2.config import OpenAIConfig

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
# Before the address is told: who comes early then waits instead of being turned away.
listener.listen()
url = f"http://127.0.0.1:{listener.getsockname()[1]}"
model = OpenAIConfig(
    model="m-1", base_url=sys.argv[1], api_key="sk-of-the-agent", streaming=True, max_retries=0
)
agent = Agent("stars", "You know the stars.", config=model)
app = A2AServer(agent).build_jsonrpc(url=url + "/")
print(url, flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
