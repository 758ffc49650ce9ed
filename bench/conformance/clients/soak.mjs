// What a JavaScript client does for as long as its stdin is open: it calls, and
// prints an error as a JSON line when there is one.

export async function soak(client, connect) {
  let open = true;
  process.stdin.on('end', () => (open = false));
  process.stdin.resume();
  const said = (what, e) => process.stdout.write(JSON.stringify({ at: Date.now(), what, error: String(e?.message ?? e) }) + '\n');
  const calls = { made: 0 };
  try {
    await connect();
  } catch (e) {
    said('connect', e);
    process.exit(1);
  }
  while (open) {
    for (const cluster of ['one', 'two']) {
      for (const [tool, args] of [['test_simple_text', {}], ['test_tool_with_progress', {}], ['test_elicitation', { message: 'hello' }]]) {
        if (!open) break;
        const began = Date.now();
        try {
          const result = await client.callTool({ name: `${cluster}__${tool}`, arguments: args });
          if (result.isError) throw new Error(JSON.stringify(result.content));
          calls.made++;
        } catch (e) {
          process.stdout.write(JSON.stringify({ began, at: Date.now(), what: cluster, error: String(e?.message ?? e) }) + '\n');
        }
      }
    }
    if (!open) break;
    try {
      await client.listTools();
      calls.made++;
    } catch (e) {
      said('list', e);
    }
    await new Promise((done) => setTimeout(done, 20));
  }
  process.stdout.write(JSON.stringify({ calls: calls.made }) + '\n');
  process.exit(0);
}
