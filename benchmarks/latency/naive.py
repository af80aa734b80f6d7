"""The reference: what one would write without Cordboard. Checks the signature and asks Twilio at once; keeps nothing.

python -m benchmarks.latency.naive PORT API_URL
"""

import sys

import aiohttp
from aiohttp import web
from twilio.request_validator import RequestValidator

from benchmarks.latency.calls import ACCOUNT, TOKEN, participants_path

_AUTHORIZATION = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)}


async def hook(request: web.Request) -> web.Response:
    """A webhook: a participant that has joined has the customer dialled."""
    app = request.app
    form = dict((await request.post()).items())
    url = f"http://127.0.0.1:{app['port']}{request.raw_path}"
    if not RequestValidator(TOKEN).validate(url, form, request.headers.get("X-Twilio-Signature", "")):
        return web.Response(status=403)
    if form.get("StatusCallbackEvent") == "participant-join":
        call = request.query["call"]
        data = {"To": "+15550100001", "From": "+15550100", "StatusCallback": f"http://127.0.0.1/?call={call}"}
        path = participants_path(f"room-{call}")
        async with app["session"].post(app["api"] + path, data=data, headers=_AUTHORIZATION):
            pass
    return web.Response(status=204)


def main() -> None:
    """Serve until killed."""
    port, api = int(sys.argv[1]), sys.argv[2]
    app = web.Application()
    app["port"], app["api"] = port, api

    async def session(app: web.Application) -> None:
        app["session"] = aiohttp.ClientSession()

    app.on_startup.append(session)
    app.router.add_post("/{path:.*}", hook)
    web.run_app(app, host="127.0.0.1", port=port, print=None)


if __name__ == "__main__":
    main()
