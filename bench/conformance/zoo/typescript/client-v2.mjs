// A client of the TypeScript SDK, version 2, that speaks both eras:
// client-v2.mjs http|sse|stdio URL|COMMAND…
import { Client, SSEClientTransport, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { answer, say } from './asks.mjs';

const [over, target, ...args] = process.argv.slice(2);
const client = new Client({ name: 'zoo', version: '2' }, { versionNegotiation: { mode: 'auto' } });
client.setNotificationHandler('notifications/message', ({ params }) => say({ log: params.data?.msg ?? params.data }));
const transport = {
  http: () => new StreamableHTTPClientTransport(new URL(target)),
  sse: () => new SSEClientTransport(new URL(target)),
  stdio: () => new StdioClientTransport({ command: target, args }),
}[over]();
const connect = async () => {
  await client.connect(transport);
  return client.getNegotiatedProtocolVersion();
};
// In 2026-07-28 each request asks for messages.
await answer(client, connect, (params, options) => {
  const _meta = params.name.endsWith('log') ? { 'io.modelcontextprotocol/logLevel': 'info' } : undefined;
  return client.callTool({ ...params, _meta }, options);
});
