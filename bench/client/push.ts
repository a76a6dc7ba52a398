import { execFile } from 'node:child_process'
import { Agent, request } from 'node:http'
import { promisify } from 'node:util'
import type { Blob } from '../content.ts'
import { findProgram } from '../program.ts'

const run = promisify(execFile)

/** Begins an upload, and gives the URL that ends it. */
export async function beginPush(port: number, repository: string, digest: string): Promise<string> {
  const begun = `http://127.0.0.1:${port}/v2/${repository}/blobs/uploads/`
  const answer = await fetch(begun, { method: 'POST' })
  await answer.arrayBuffer()
  const location = answer.headers.get('location')
  if (answer.status !== 202 || location === null) throw new Error(`POST ${begun}: ${answer.status}`)
  const url = new URL(location, begun)
  url.searchParams.set('digest', digest)
  return url.href
}

/** Sends a blob with curl to the end of an upload; the answer says that the blob is stored. */
export async function curlPush(url: string, blob: Blob): Promise<void> {
  const options = [
    '-s',
    '-o',
    '/dev/null',
    '-w',
    '%{http_code}',
    '-H',
    'Content-Type: application/octet-stream',
  ]
  const { stdout } = await run(findProgram('curl') ?? 'curl', [...options, '-T', blob.file, url])
  if (stdout !== '201') throw new Error(`curl -T … ${url}: ${stdout}`)
}

/** Pushes manifests over as many connections, and gives how many in a second. */
export async function pushManifests(
  port: number,
  repository: string,
  manifests: readonly Buffer[],
  connections: number,
  authorization?: string,
): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const waiting = manifests.map((bytes, at) => ({ bytes, tag: `v${at}` }))
  const startedAt = performance.now()
  const pushOne = async (): Promise<void> => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop())
      await putManifest(agent, port, `/v2/${repository}/manifests/${next.tag}`, next.bytes, authorization)
  }
  try {
    await Promise.all(Array.from({ length: connections }, pushOne))
    return (manifests.length / (performance.now() - startedAt)) * 1000
  } finally {
    agent.destroy()
  }
}

function putManifest(
  agent: Agent,
  port: number,
  path: string,
  bytes: Buffer,
  authorization: string | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const login = authorization === undefined ? {} : { authorization }
    const { mediaType } = JSON.parse(bytes.toString())
    const headers = { 'content-type': mediaType, 'content-length': bytes.length, ...login }
    const call = request({ agent, host: '127.0.0.1', port, method: 'PUT', path, headers }, (response) => {
      response.resume()
      response.on('end', () => {
        if (response.statusCode === 201) resolve()
        else reject(new Error(`PUT ${path}: ${response.statusCode}`))
      })
    })
    call.on('error', reject)
    call.end(bytes)
  })
}
