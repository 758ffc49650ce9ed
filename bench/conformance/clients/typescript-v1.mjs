// A client of the TypeScript SDK, version 1.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CreateMessageRequestSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { answers, run } from './steps.mjs';

const client = new Client({ name: 'typescript-v1', version: '1' }, { capabilities: { elicitation: {}, sampling: {} } });
client.setRequestHandler(ElicitRequestSchema, answers.elicitation);
client.setRequestHandler(CreateMessageRequestSchema, answers.sampling);
await run(client, () => client.connect(new StreamableHTTPClientTransport(new URL(process.argv[2]))));
