// What every JavaScript client does: the same things, one after the other.

const calls = [
  ['test_simple_text', {}],
  ['test_tool_with_progress', {}],
  ['test_elicitation', { message: 'who are you?' }],
  ['test_sampling', { prompt: 'say something' }],
  ['test_input_required_result_elicitation', {}],
  ['echo', { message: 'hello' }],
  ['get-sum', { a: 1, b: 2 }],
];

export const answers = {
  elicitation: async () => ({ action: 'accept', content: { username: 'somebody', email: 'some@example.com', name: 'somebody', response: 'yes' } }),
  sampling: async () => ({ role: 'assistant', model: 'none', content: { type: 'text', text: 'something' } }),
};

export async function run(client, connect) {
  const outcome = {};
  const step = async (name, f) => {
    try {
      await f();
      outcome[name] = 'ok';
    } catch (e) {
      outcome[name] = String(e?.message ?? e);
    }
  };
  await step('connect', connect);
  const lists = { tools: () => client.listTools(), prompts: () => client.listPrompts(), resources: () => client.listResources(), templates: () => client.listResourceTemplates() };
  let resource;
  for (const [name, list] of Object.entries(lists)) {
    await step('list ' + name, async () => {
      const found = await list();
      if (name === 'resources') resource = found.resources[0]?.uri;
    });
  }
  await step('read', () => client.readResource({ uri: resource }));
  for (const [name, args] of calls) {
    await step('call ' + name, async () => {
      const result = await client.callTool({ name, arguments: args });
      if (result.isError) throw new Error(JSON.stringify(result.content));
    });
  }
  await step('close', () => client.close());
  process.stdout.write(JSON.stringify(outcome) + '\n');
  process.exit(0);
}
