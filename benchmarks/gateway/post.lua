-- wrk: one short chat request. BENCH_KEY and BENCH_STREAM come from the environment.
local stream = os.getenv("BENCH_STREAM") == "1"
wrk.method = "POST"
wrk.body = '{"model":"gpt-4.1-mini","messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"Say hello to the reader please."}]' .. (stream and ',"stream":true,"stream_options":{"include_usage":true}' or '') .. '}'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. (os.getenv("BENCH_KEY") or "sk-none")
