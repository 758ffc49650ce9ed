// A client of the TypeScript SDK, version 2.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { soak } from './soak.mjs';
import { answers, run } from './steps.mjs';

const client = new Client({ name: 'typescript-v2', version: '1' }, { capabilities: { elicitation: {}, sampling: {} } });
client.setRequestHandler('elicitation/create', answers.elicitation);
client.setRequestHandler('sampling/createMessage', answers.sampling);
const does = process.argv[2] === 'soak' ? soak : run;
await does(client, () => client.connect(new StreamableHTTPClientTransport(new URL(process.argv.at(-1)))));
