// A client of the TypeScript SDK, version 2.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { answers, run } from './steps.mjs';

const client = new Client({ name: 'typescript-v2', version: '1' }, { capabilities: { elicitation: {}, sampling: {} } });
client.setRequestHandler('elicitation/create', answers.elicitation);
client.setRequestHandler('sampling/createMessage', answers.sampling);
await run(client, () => client.connect(new StreamableHTTPClientTransport(new URL(process.argv[2]))));
