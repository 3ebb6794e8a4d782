import asyncio

from service.scheduling.inventory import in_turns


async def test_other_tasks_have_their_turns_while_many_items_are_looked_at() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    assert [item async for item in in_turns(range(10_000))] == list(range(10_000))
    task.cancel()
    assert turns >= 10_000 / 500
