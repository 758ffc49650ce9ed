// What every TypeScript client does: it reads a JSON object a line (do, name,
// arguments), and writes one for each: ok, or error. In between it writes what
// it is told: progress, log.
import { createInterface } from 'node:readline';

export const say = (what) => process.stdout.write(JSON.stringify(what) + '\n');

// answer serves until standard input ends. A call's options go to callTool,
// which has them in another place in each version.
export async function answer(client, connect, callTool) {
  const patience = { timeout: 20_000, resetTimeoutOnProgress: true };
  const does = {
    level: async () => {
      await client.setLoggingLevel('info', patience);
      return '';
    },
    tools: async () => (await client.listTools(undefined, patience)).tools.map((t) => t.name),
    resources: async () => (await client.listResources(undefined, patience)).resources.map((r) => r.uri),
    prompts: async () => (await client.listPrompts(undefined, patience)).prompts.map((p) => p.name),
    read: async ({ name }) => (await client.readResource({ uri: name }, patience)).contents[0].text,
    prompt: async (ask) => (await client.getPrompt({ name: ask.name, arguments: ask.arguments }, patience)).messages[0].content.text,
    call: async (ask) => {
      const result = await callTool({ name: ask.name, arguments: ask.arguments }, { ...patience, onprogress: ({ progress }) => say({ progress }) });
      if (result.isError) throw new Error(result.content[0].text);
      return result.content[0].text;
    },
  };
  try {
    say({ ok: await connect() });
  } catch (e) {
    say({ error: String(e?.message ?? e) });
    process.exit(1);
  }
  for await (const line of createInterface({ input: process.stdin })) {
    const ask = JSON.parse(line);
    try {
      say({ ok: await does[ask.do](ask) });
    } catch (e) {
      say({ error: String(e?.message ?? e) });
    }
  }
  process.exit(0);
}
