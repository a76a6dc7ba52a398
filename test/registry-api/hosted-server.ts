import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Hosted, openHosted } from '../../src/hosted/open-hosted.ts'
import { OCI_MANIFEST } from '../../src/oci/media-types.ts'
import type { Store } from '../../src/store/store.ts'
import { digestOf } from '../../testkit/memory/digests.ts'
import { openStore } from '../store/folder.ts'
import {
  type ReceivedAnswer,
  type RequestOptions,
  requestHttp1,
  requestHttp2,
  startTestServer,
  type TestServer,
} from './test-server.ts'

export interface HostedServer extends TestServer {
  readonly store: Store
  readonly hosted: Hosted
}

/** Starts a registry server with a store on disk, in which `team/**` is hosted. */
export async function startHostedServer(
  t: TestContext,
  { maxBytes, ...options }: Parameters<typeof startTestServer>[1] & { maxBytes?: number } = {},
): Promise<HostedServer> {
  const path = await mkdtemp(join(tmpdir(), 'leat-hosted-'))
  const store = await openStore({
    path,
    ...(maxBytes === undefined ? {} : { maxBytes: { bytes: maxBytes } }),
  })
  const hosted = openHosted({ names: ['team/**'] }, store, { state: async () => undefined })
  const server = await startTestServer(t, {
    hosted: hosted.registry,
    hostedNames: hosted.names,
    resolverBefore: (next) => hosted.resolver(next),
    ...options,
  })
  t.after(async () => {
    await hosted.close()
    await store.close()
    await rm(path, { recursive: true })
  })
  return { ...server, store, hosted }
}

export type Send = typeof requestHttp1

/** Both protocols, with their names. */
export const PROTOCOLS: readonly [name: string, send: Send][] = [
  ['HTTP/1.1', requestHttp1],
  ['HTTP/2', requestHttp2],
]

/** Begins an upload and gives its location. */
export async function beginUpload(
  port: number,
  name: string,
  { query = '', ...options }: RequestOptions & { query?: string; send?: Send } = {},
): Promise<string> {
  const answer = await (options.send ?? requestHttp1)(port, `/v2/${name}/blobs/uploads/${query}`, {
    ...options,
    method: 'POST',
  })
  const { location } = answer.headers
  if (answer.status !== 202 || location === undefined)
    throw new Error(`the upload did not begin: ${answer.status} ${answer.body}`)
  return location
}

/** Pushes a blob by one PUT. */
export async function pushBlob(
  port: number,
  name: string,
  body: Uint8Array,
  send: Send = requestHttp1,
): Promise<ReceivedAnswer> {
  const location = await beginUpload(port, name, { send })
  return send(port, withQuery(location, `digest=${digestOf(body)}`), { method: 'PUT', body })
}

export function withQuery(location: string, query: string): string {
  return `${location}${location.includes('?') ? '&' : '?'}${query}`
}

export interface SampleImage {
  readonly config: Buffer
  readonly layer: Buffer
  readonly manifest: Buffer
}

/** A small image; images of different names have different contents. */
export function sampleImage(name = 'one', more: object = {}): SampleImage {
  const config = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', config: { name } }))
  const layer = Buffer.from(`layer of ${name}`)
  const descriptor = (mediaType: string, bytes: Buffer) => ({
    mediaType,
    digest: digestOf(bytes),
    size: bytes.length,
  })
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: descriptor('application/vnd.oci.image.config.v1+json', config),
    layers: [descriptor('application/vnd.oci.image.layer.v1.tar', layer)],
    ...more,
  }
  return { config, layer, manifest: Buffer.from(JSON.stringify(manifest)) }
}

export function pushManifest(
  port: number,
  name: string,
  reference: string,
  manifest: Uint8Array,
  { send = requestHttp1, type = OCI_MANIFEST }: { send?: Send; type?: string } = {},
): Promise<ReceivedAnswer> {
  return send(port, `/v2/${name}/manifests/${reference}`, {
    method: 'PUT',
    headers: { 'content-type': type },
    body: manifest,
  })
}

/** Pushes an image with all that it needs. */
export async function pushImage(
  port: number,
  name: string,
  tag: string,
  image: SampleImage,
  send: Send = requestHttp1,
): Promise<ReceivedAnswer> {
  for (const blob of [image.config, image.layer]) await pushBlob(port, name, blob, send)
  return pushManifest(port, name, tag, image.manifest, { send })
}
