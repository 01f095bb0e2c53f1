"""`python slots.py SLOTS TASKS`: so many `sleep 1` through asyncio, as many at once as there are slots."""

import asyncio
import sys


async def main(slots, tasks):
    waiting = iter(range(tasks))

    async def worker():
        for _ in waiting:
            process = await asyncio.create_subprocess_exec("sleep", "1")
            await process.wait()

    await asyncio.gather(*(worker() for _ in range(slots)))


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
