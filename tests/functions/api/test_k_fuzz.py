import copy, json, re, sys, time, traceback
import pytest
from tests.functions.api import test_odd_input as t
from tests.functions.api.samples import SAMPLES, SHARED
from tests.functions.api.test_every_route import _smallest, _resolved, DOCUMENT, PREFIX
from functions.api import frame
from shared import limits

crashes = {}
def test_fuzz(api_client, monkeypatch):
    monkeypatch.setattr(limits, "DEFAULT_RATE", 10**9)
    seen = []
    orig = frame.problems.of_crash
    def of_crash(rid):
        seen.append(traceback.format_exc()); return orig(rid)
    monkeypatch.setattr(frame.problems, "of_crash", of_crash)
    ids = {}
    made = {}
    for name, make in SAMPLES.items():
        if make not in made: made[make] = make(api_client)
        ids[name] = made[make]
    ids["type_name"] = "loop"
    count = 0
    t0 = time.time()
    def call(method, url, **kw):
        nonlocal count
        count += 1
        s = time.time()
        try:
            r = api_client.request(method, url, **kw)
        except Exception as e:
            key = ("EXC", method, url.split("?")[0], type(e).__name__)
            crashes.setdefault(key, (traceback.format_exc()[-600:], str(kw)[:300])); return None
        d = time.time()-s
        if d > 2: print("SLOW", d, method, url[:100], str(kw)[:200])
        if r.status_code >= 500:
            tb = seen[-1] if seen else ""
            last = [l for l in tb.strip().splitlines()][-1] if tb else ""
            key = (method, route, r.status_code, last[:150])
            crashes.setdefault(key, (tb[-1800:] if r.status_code==500 else r.text, url[:200], str(kw)[:300]))
        return r
    order = sorted(t.ROUTES, key=lambda r: any(w in r[0] or r[1].endswith(w) for w in t.LAST))
    for method, path in order:
        route = path
        url = re.sub(r"{(\w+)(?::\w+)?}", lambda m: ids[m[1]], path).removeprefix(PREFIX)
        op = DOCUMENT["paths"][path][method.lower()]
        body = op.get("requestBody")
        for raw in t.RAW:
            call(method, url, content=raw, headers={"content-type": "application/json"})
        if body:
            schema = _resolved(body["content"]["application/json"]["schema"])
            if "anyOf" in schema: schema = _resolved(schema["anyOf"][0])
            base = _smallest(schema)
            if not isinstance(base, dict): base = {}
            props = dict(schema.get("properties", {}))
            for p, s in props.items():
                s = _resolved(s)
                for odd in t.ODD:
                    call(method, url, content=json.dumps({**base, p: odd}).encode(), headers={"content-type": "application/json"})
                for alt in [s, *map(_resolved, s.get("anyOf", []))]:
                    for q in alt.get("properties", {}):
                        b = _smallest(alt)
                        for odd in t.ODD:
                            call(method, url, content=json.dumps({**base, p: {**b, q: odd}}).encode(), headers={"content-type": "application/json"})
                    if alt.get("type") == "array":
                        it = _resolved(alt["items"])
                        for q in it.get("properties", {}):
                            b = _smallest(it)
                            for odd in t.ODD:
                                call(method, url, content=json.dumps({**base, p: [{**b, q: odd}]}).encode(), headers={"content-type": "application/json"})
        for par in op.get("parameters", []):
            if par["in"] == "query":
                for q in t.QUERY:
                    call(method, f"{url}?{par['name']}={q}")
        for h in ("If-Match", "Idempotency-Key", "Content-Type", "Accept", "Content-Length"):
            for v in t.HEADERS:
                try: hv = v.encode("latin-1")
                except Exception: continue
                if h == "Content-Length": continue
                call(method, url, headers={h: hv}, content=b"{}")
    print("count", count, time.time()-t0)
    for k, v in crashes.items():
        print("=" * 100); print(k); 
        for x in v: print(x)
    print(len(crashes), "kinds")
