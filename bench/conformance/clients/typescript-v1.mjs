// A client of the TypeScript SDK, version 1.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CreateMessageRequestSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { soak } from './soak.mjs';
import { answers, run } from './steps.mjs';

const client = new Client({ name: 'typescript-v1', version: '1' }, { capabilities: { elicitation: {}, sampling: {} } });
client.setRequestHandler(ElicitRequestSchema, answers.elicitation);
client.setRequestHandler(CreateMessageRequestSchema, answers.sampling);
const does = process.argv[2] === 'soak' ? soak : run;
await does(client, () => client.connect(new StreamableHTTPClientTransport(new URL(process.argv.at(-1)))));
