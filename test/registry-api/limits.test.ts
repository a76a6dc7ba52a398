import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { MAX_MANIFEST_BYTES } from '../../src/oci/manifest.ts'
import {
  answerLimits,
  bodyLimits,
  LIMITS,
  largeManifestLimits,
  listLimits,
  uploadLimits,
} from '../../src/registry-api/limits.ts'

const KIB = 1024
const MIB = 1024 * KIB

test('docs/security.md lists the limits that the server enforces', async () => {
  const page = await readFile(new URL('../../../docs/security.md', import.meta.url), 'utf8')
  const bodies = bodyLimits(LIMITS)
  const lists = listLimits(LIMITS)
  const uploads = uploadLimits(LIMITS)
  const manifests = largeManifestLimits(LIMITS)
  const rows: [string, string][] = [
    ['connections', `${LIMITS.maxConnections}`],
    ['HTTP/2 connections', `${LIMITS.maxSessions}`],
    [
      'answers under way',
      `${answerLimits(LIMITS).total}, of one HTTP/2 connection ${answerLimits(LIMITS).perConnection}`,
    ],
    ['bodies sent at once', `${bodies.total}, of one connection ${bodies.perConnection}`],
    ['lists of more than 64 KiB sent at once', `${lists.total}, of one connection ${lists.perConnection}`],
    ['memory for bodies', `${LIMITS.memoryBytes / MIB} MiB`],
    [
      'time in which a client takes less than 64 KiB while others wait',
      `${LIMITS.slowMs / 1000} s, longer in proportion if a larger piece was written to it`,
    ],
    ['time in which a client takes nothing', `${LIMITS.stallMs / 1000} s`],
    ['time until the first byte of a body under way', `${LIMITS.firstByteMs / 1000} s`],
    ['request headers', `${LIMITS.maxHeaderBytes / KIB} KiB`],
    ['time for the request headers, and for a TLS handshake', `${LIMITS.headersMs / 1000} s`],
    ['pushed bodies received at once', `${uploads.total}, of one connection ${uploads.perConnection}`],
    [
      'manifests of more than 64 KiB received at once',
      `${manifests.total}, of one connection ${manifests.perConnection}`,
    ],
    ['time in which a client sends nothing of a pushed body', `${LIMITS.bodyStallMs / 1000} s`],
    [
      'time in which a client sends less than 64 KiB of a pushed body while others wait',
      `${LIMITS.slowMs / 1000} s`,
    ],
    ['pushed manifest', `${MAX_MANIFEST_BYTES / MIB} MiB`],
    ['request body that is not wanted', `${LIMITS.maxBodyBytes / MIB} MiB in ${LIMITS.requestMs / 1000} s`],
    ['pipelined requests (HTTP/1.1)', `${LIMITS.maxPipelined} on one connection`],
    ['HTTP/2 streams opened in one turn of the event loop', `${4 * LIMITS.maxStreams}`],
  ]
  for (const [resource, limit] of rows) assert.ok(page.includes(`| ${resource} | ${limit} |`), resource)
  assert.ok(page.includes(`the body waits for ${LIMITS.waitMs / 1000} s, then 503`))
})

test('one remote address may have half of each resource, and a quarter is reserved for local clients', () => {
  for (const { total, perAddress, reservedForLocal } of [
    answerLimits(LIMITS),
    bodyLimits(LIMITS),
    listLimits(LIMITS),
    uploadLimits(LIMITS),
    largeManifestLimits(LIMITS),
  ]) {
    assert.equal(perAddress, total / 2)
    assert.equal(reservedForLocal, total / 4)
  }
})
