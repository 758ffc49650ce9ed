// A client of the TypeScript SDK, version 1: client-v1.mjs http|sse|stdio URL|COMMAND…
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { answer, say } from './asks.mjs';

const [over, target, ...args] = process.argv.slice(2);
const client = new Client({ name: 'zoo', version: '1' });
client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => say({ log: params.data?.msg ?? params.data }));
const transport = {
  http: () => new StreamableHTTPClientTransport(new URL(target)),
  sse: () => new SSEClientTransport(new URL(target)),
  stdio: () => new StdioClientTransport({ command: target, args }),
}[over]();
const connect = async () => {
  let revision; // the transport is told of it
  const set = transport.setProtocolVersion?.bind(transport);
  transport.setProtocolVersion = (v) => (revision = v, set?.(v));
  await client.connect(transport);
  return revision;
};
await answer(client, connect, (params, options) => client.callTool(params, undefined, options));
