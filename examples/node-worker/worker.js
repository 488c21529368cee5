// A small worker in Node.js, by its standard library alone.
//
// It serves as many requests at once as it has slots, and lets the others wait without a bound and without a word:
// what most workers do. `ambidex agent` in front of it does the rest.
//
//     node worker.js --port 9000 --slots 4 --work-ms 50

const http = require('node:http');
const { parseArgs } = require('node:util');

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '9000' },
    slots: { type: 'string', default: '4' }, // requests that are worked on at once
    'work-ms': { type: 'string', default: '50' }, // what one of them takes
    name: { type: 'string', default: 'node' },
  },
});

let free = Number(values.slots);
const waiting = [];

function begin(answer) {
  free -= 1;
  setTimeout(() => {
    answer();
    free += 1;
    if (waiting.length > 0) begin(waiting.shift());
  }, Number(values['work-ms']));
}

const server = http.createServer((request, response) => {
  request.resume(); // whatever body there is
  const answer = () => {
    response.setHeader('Content-Type', 'text/plain');
    response.end(`hello from ${values.name}\n`);
  };
  if (free > 0) begin(answer);
  else waiting.push(answer);
});

server.keepAliveTimeout = 65_000; // longer than the agent keeps a connection
server.listen(Number(values.port), '127.0.0.1', () => {
  console.log(server.address().port); // the port, also where the system chose it (--port 0)
});
