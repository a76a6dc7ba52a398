import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Blob } from '../content.ts'
import { findProgram } from '../program.ts'
import { REPOSITORY } from '../servers/measured-server.ts'
import type { Client } from './client.ts'

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

/** Pushes manifests, the first with the tag `v0`, over as many connections, and gives how many in a second. */
export async function pushManifests(
  client: Client,
  port: number,
  manifests: readonly Buffer[],
  connections: number,
  authorization?: string,
): Promise<number> {
  const login = authorization === undefined ? {} : { Authorization: authorization }
  const requests = manifests.map((bytes, at) => {
    const body = bytes.toString()
    const { mediaType } = JSON.parse(body)
    const path = `/v2/${REPOSITORY}/manifests/v${at}`
    return { path, headers: { 'Content-Type': mediaType, ...login }, body }
  })
  const until = { requests: requests.length }
  const pushed = await client.load({ port, requests, connections, protocol: 'http/1.1', until })
  if (pushed.failed > 0) throw new Error(`${pushed.failed} of ${pushed.requests} pushes failed`)
  return (pushed.requests / pushed.ms) * 1000
}
