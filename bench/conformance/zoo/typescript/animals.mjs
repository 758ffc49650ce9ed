// What every TypeScript server serves.
import { z } from 'zod';

const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const text = (text) => ({ content: [{ type: 'text', text: String(text) }] });

// furnish gives a new server its tools, a resource and a prompt; about finds in
// a call's context its _meta, and what sends a notification that belongs to it;
// prompted makes the schema of a prompt's arguments.
export function furnish(server, about, prompted = z.object) {
  let count = 0;
  server.registerTool('echo', { description: 'Echo.', inputSchema: z.object({ text: z.string() }) }, async ({ text: t }) => text(t));
  server.registerTool('pid', { description: 'Process id.', inputSchema: z.object({}) }, async () => text(process.pid));
  server.registerTool('counter', { description: 'Count.', inputSchema: z.object({}) }, async () => text(++count));
  server.registerTool('slow', { description: 'Take a while.', inputSchema: z.object({ ms: z.number() }) }, async ({ ms }, ctx) => {
    const { meta, notify } = about(ctx);
    for (let progress = 1; progress <= 3; progress++) {
      if (meta?.progressToken !== undefined) {
        await notify({ method: 'notifications/progress', params: { progressToken: meta.progressToken, progress, total: 3 } });
      }
      await wait(ms / 3);
    }
    return text('done');
  });
  server.registerTool('log', { description: 'Log.', inputSchema: z.object({ text: z.string() }) }, async ({ text: t }, ctx) => {
    await about(ctx).notify({ method: 'notifications/message', params: { level: 'info', data: t } });
    return text('logged');
  });
  server.registerResource('animal', 'zoo://animal', { mimeType: 'text/plain' }, async (uri) => ({ contents: [{ uri: uri.href, text: 'a zebra' }] }));
  server.registerPrompt('greet', { argsSchema: prompted({ name: z.string() }) }, ({ name }) => ({
    messages: [{ role: 'user', content: { type: 'text', text: `Greet ${name}.` } }],
  }));
  return server;
}
