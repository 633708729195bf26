"""An agent on the official SDK for Agent2Agent, without a model: it does as it is told.

    python a2a_agent.py JSONRPC/1.0/streaming HTTP+JSON/0.3/polling …

It remembers what it was told in a context, and says how often that was. Prints the address of
each kind and serves until it is killed.
"""

import asyncio
import socket
import sys

import uvicorn
from a2a.helpers.proto_helpers import new_text_message
from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater
from a2a.types import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    AgentSkill,
    Part,
    Task,
    TaskState,
    TaskStatus,
)
from starlette.applications import Starlette

VOTE = 'I vote.\n\n```json\n{"tool": "vote", "arguments": {"content": "agent1"}}\n```'


class Obedient(AgentExecutor):
    def __init__(self):
        self.told = {}

    async def execute(self, context, queue):
        told = context.get_user_input()
        order = told.split("\n", 1)[0].strip()
        count = self.told.get(context.context_id, 0) + 1
        self.told[context.context_id] = count
        updater = TaskUpdater(queue, context.task_id, context.context_id)

        def message(text):
            return updater.new_agent_message(parts=[Part(text=text)])

        if order == "just say it":
            await queue.enqueue_event(new_text_message("8 Gpc", context_id=context.context_id))
            return
        if context.current_task is None:
            await queue.enqueue_event(
                Task(
                    id=context.task_id,
                    context_id=context.context_id,
                    status=TaskStatus(state=TaskState.TASK_STATE_SUBMITTED),
                )
            )
        await updater.start_work(message("Looking it up."))
        if order == "ask":
            await updater.requires_input(message("To which star?"))
        elif order == "fail":
            await updater.failed(message("The archive is down."))
        elif order == "hang":
            await asyncio.Event().wait()
        elif order == "vote":
            await updater.add_artifact([Part(text=VOTE)], artifact_id="a")
            await updater.complete()
        else:
            await updater.add_artifact([Part(text=f"{order}: ")], artifact_id="a")
            await updater.add_artifact([Part(text=f"told {count}")], artifact_id="a", append=True)
            await updater.complete()

    async def cancel(self, context, queue):
        print("canceled", flush=True)
        await TaskUpdater(queue, context.task_id, context.context_id).cancel()


def server(kind):
    binding, version, streaming = kind.split("/")
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    # Before the address is told: who comes early then waits instead of being turned away.
    listener.listen()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    card = AgentCard(
        name="obedient",
        description="Does as it is told.",
        version="1",
        capabilities=AgentCapabilities(streaming=streaming == "streaming"),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id="obey", name="obey", description="Obeys.", tags=["test"])],
        supported_interfaces=[
            AgentInterface(url=url + "/", protocol_binding=binding, protocol_version=version)
        ],
    )
    handler = DefaultRequestHandler(
        agent_executor=Obedient(), task_store=InMemoryTaskStore(), agent_card=card
    )
    routes = create_agent_card_routes(card)
    if binding == "JSONRPC":
        routes += create_jsonrpc_routes(handler, "/", enable_v0_3_compat=True)
    else:
        routes += create_rest_routes(handler, enable_v0_3_compat=True)
    print(url, flush=True)
    config = uvicorn.Config(Starlette(routes=routes), log_level="warning")
    return uvicorn.Server(config).serve(sockets=[listener])


async def main():
    await asyncio.gather(*[server(kind) for kind in sys.argv[1:]])


asyncio.run(main())
