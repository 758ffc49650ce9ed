// A server of the TypeScript SDK, version 1: server-v1.mjs http|sse|stdio [ADDRESS].
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { furnish } from './animals.mjs';

const [over, address] = process.argv.slice(2);
const sessions = new Map();
const animals = () =>
  furnish(
    new McpServer({ name: 'zoo', version: '1' }, { capabilities: { logging: {} } }),
    (extra) => ({ meta: extra._meta, notify: extra.sendNotification }),
    (shape) => shape,
  );

async function http(req, res) {
  const id = req.headers['mcp-session-id'];
  if (id) {
    if (sessions.has(id)) return sessions.get(id).handleRequest(req, res);
    // As the SDK's own example answers.
    res.writeHead(400, { 'Content-Type': 'application/json' });
    return res.end(JSON.stringify({ jsonrpc: '2.0', error: { code: -32000, message: 'Bad Request: No valid session ID provided' }, id: null }));
  }
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => sessions.set(id, transport),
    onsessionclosed: (id) => sessions.delete(id),
  });
  await animals().connect(transport);
  return transport.handleRequest(req, res);
}

async function sse(req, res) {
  const url = new URL(req.url, 'http://localhost');
  if (req.method === 'GET') {
    const transport = new SSEServerTransport('/messages', res);
    sessions.set(transport.sessionId, transport);
    res.on('close', () => sessions.delete(transport.sessionId));
    return animals().connect(transport);
  }
  const session = sessions.get(url.searchParams.get('sessionId'));
  if (session && url.pathname === '/messages') return session.handlePostMessage(req, res);
  return res.writeHead(404).end();
}

if (over === 'stdio') {
  await animals().connect(new StdioServerTransport());
} else {
  const [host, port] = address.split(':');
  createServer(over === 'sse' ? sse : http).listen(Number(port), host);
}
