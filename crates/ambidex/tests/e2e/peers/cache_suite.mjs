// Runs the public suite for HTTP caches (http-cache-tests) against a gateway before its own origin, and prints what became
// of every test, one line of JSON each: {"id", "kind", "passed", "why"}. A test whose premises failed has not passed.
//
// cache_suite.mjs PACKAGE BASE_URL
import http from 'node:http'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const [folder, base] = process.argv.slice(2)
const load = path => import(pathToFileURL(join(folder, path)))
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 })

// As much of `fetch` as the suite uses, and nothing that adds header fields or follows redirects.
class Headers {
  constructor (raw) {
    this.fields = new Map()
    for (let at = 0; at < raw.length; at += 2) {
      const name = raw[at].toLowerCase()
      this.fields.set(name, this.fields.has(name) ? `${this.fields.get(name)}, ${raw[at + 1]}` : raw[at + 1])
    }
  }

  get (name) { return this.fields.get(name.toLowerCase()) ?? null }
  has (name) { return this.fields.has(name.toLowerCase()) }
  forEach (each) { this.fields.forEach(each) }
  [Symbol.iterator] () { return this.fields[Symbol.iterator]() }
}

function fetch (url, init = {}) {
  return new Promise((resolve, reject) => {
    const headers = {}
    for (const [name, value] of init.headers || []) {
      headers[name] = name in headers ? [headers[name], value].flat() : value
    }
    if (init.body !== undefined) headers['Content-Length'] = Buffer.byteLength(init.body)
    const request = http.request(url, { method: init.method || 'GET', headers, agent }, response => {
      const chunks = []
      response.on('data', chunk => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => resolve({
        status: response.statusCode,
        statusText: response.statusMessage,
        headers: new Headers(response.rawHeaders),
        text: () => Promise.resolve(Buffer.concat(chunks).toString())
      }))
    })
    request.on('error', reject)
    request.end(init.body)
  })
}

const suites = (await load('tests/index.mjs')).default
suites.push((await load('tests/surrogate-control.mjs')).default)
const { runTests, getResults } = await load('client/runner.mjs')
// All at once: most of a test is a pause of three seconds.
await runTests(suites, fetch, false, base, 1000)
const results = getResults()
const tests = new Map(suites.flatMap(suite => suite.tests).map(test => [test.id, test]))

function passed (id) {
  return results[id] === true && (tests.get(id)?.depends_on || []).every(passed)
}

for (const [id, test] of tests) {
  if (!(id in results)) continue
  const why = results[id] === true ? 'a test that it depends on failed' : results[id].join(': ')
  const outcome = { id, kind: test.kind || 'required', passed: passed(id) }
  console.log(JSON.stringify(outcome.passed ? outcome : { ...outcome, why }))
}
agent.destroy()
