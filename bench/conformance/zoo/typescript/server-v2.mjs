// A server of the TypeScript SDK, version 2, for clients of both eras:
// server-v2.mjs http|stdio [ADDRESS].
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { NodeStreamableHTTPServerTransport, toNodeHandler, toWebRequest } from '@modelcontextprotocol/node';
import { createMcpHandler, isLegacyRequest, McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { furnish } from './animals.mjs';

const [over, address] = process.argv.slice(2);
const sessions = new Map();
const animals = () =>
  furnish(new McpServer({ name: 'zoo', version: '2' }, { capabilities: { logging: {} } }), (ctx) => ({
    meta: ctx.mcpReq._meta,
    notify: ctx.mcpReq.notify,
  }));
const modern = toNodeHandler(createMcpHandler(animals, { legacy: 'reject' }));

async function body(req) {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  try {
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch {
    return undefined;
  }
}

async function http(req, res) {
  const parsed = await body(req);
  if (!(await isLegacyRequest(await toWebRequest(req, parsed), parsed))) return modern(req, res, parsed);
  const id = req.headers['mcp-session-id'];
  if (id) {
    if (sessions.has(id)) return sessions.get(id).handleRequest(req, res, parsed);
    res.writeHead(404, { 'Content-Type': 'application/json' });
    return res.end(JSON.stringify({ jsonrpc: '2.0', error: { code: -32001, message: 'Session not found' }, id: null }));
  }
  const transport = new NodeStreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => sessions.set(id, transport),
    onsessionclosed: (id) => sessions.delete(id),
  });
  await animals().connect(transport);
  return transport.handleRequest(req, res, parsed);
}

if (over === 'stdio') {
  serveStdio(animals);
} else {
  const [host, port] = address.split(':');
  createServer(http).listen(Number(port), host);
}
