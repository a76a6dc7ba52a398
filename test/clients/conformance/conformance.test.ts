import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { AgentProcess } from '../../../testkit/agent-process.ts'
import { addCleanup } from '../../../testkit/cleanup.ts'
import { bucketSettings, startVersitygw } from '../../../testkit/object-store/servers.ts'
import { requirePrograms } from '../../../testkit/programs.ts'
import { buildImage, buildIndex, push } from '../../../testkit/registries/image.ts'
import { UpstreamRegistry } from '../../../testkit/registries/registry.ts'
import { findSuite, runSuite, type SuiteResult } from './suite.ts'

async function newFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'leat-'))
  addCleanup(t, () => rm(folder, { recursive: true, force: true, maxRetries: 3 }))
  return folder
}

function assertAllPassed({ failed, errors, skipped, notPassed }: SuiteResult): void {
  assert.deepEqual({ failed, errors, skipped }, { failed: 0, errors: 0, skipped: 0 }, notPassed.join('\n'))
}

/** The README says how many checks pass. */
async function assertReadmeSays(text: string): Promise<void> {
  const readme = await readFile(new URL('../../../../README.md', import.meta.url), 'utf8')
  assert.ok(readme.includes(text), `README.md does not say "${text}"`)
}

/** Runs all workflows against an agent that hosts `conformance/**`. */
async function runAllWorkflows(suite: string, folder: string, agent: AgentProcess): Promise<SuiteResult> {
  const result = await runSuite(suite, folder, {
    OCI_REGISTRY: agent.address,
    OCI_REPO1: 'conformance/one',
    OCI_REPO2: 'conformance/two',
    OCI_API_BLOBS_DIGEST_HEADER: 'true',
    OCI_API_BLOBS_UPLOAD_CANCEL: 'true',
    OCI_API_MANIFESTS_DIGEST_HEADER: 'true',
    OCI_API_MANIFESTS_TAG_PARAM: 'true',
    // A mount names the repository that has the blob: whoever may push to one repository may not read all others.
    OCI_API_BLOBS_MOUNT_ANONYMOUS: 'false',
  })
  assertAllPassed(result)
  // Manifests whose parts are missing are refused, so they are no part of the suite here.
  assert.deepEqual(
    result.notPassed.filter((line) => !/mount|Sparse Manifests/.test(line)),
    [],
  )
  return result
}

test('a hosted repository passes the conformance suite with all of its workflows', async (t) => {
  const suite = findSuite(t)
  if (suite === undefined) return
  const folder = await newFolder(t)
  const agent = await AgentProcess.start(join(folder, 'agent'), 'hosted: ["conformance/**"]\n')
  addCleanup(t, () => agent.stop())
  const { passed } = await runAllWorkflows(suite, folder, agent)
  await assertReadmeSays(`${passed} checks of pushing and pulling`)
})

test('a hosted repository in a bucket passes the same checks', async (t) => {
  const suite = findSuite(t)
  const folder = await newFolder(t)
  const server = suite === undefined ? undefined : await startVersitygw(t, join(folder, 's3'))
  if (suite === undefined || server === undefined) return
  const settings = `${await bucketSettings(server, folder)}  hosted: true\n`
  const agent = await AgentProcess.start(join(folder, 'agent'), `hosted: ["conformance/**"]\n${settings}`)
  addCleanup(t, () => agent.stop())
  const { passed } = await runAllWorkflows(suite, folder, agent)
  await assertReadmeSays(`${passed} checks of pushing and pulling`)
})

test('a cached repository passes what the conformance suite reads', async (t) => {
  const suite = findSuite(t)
  const programs = requirePrograms(t, ['docker-registry'])
  if (suite === undefined || programs === undefined) return
  const folder = await newFolder(t)
  const upstream = await UpstreamRegistry.start(programs['docker-registry'], join(folder, 'upstream'))
  addCleanup(t, () => upstream.stop())
  const image = buildImage('conformance')
  const index = buildIndex('conformance list')
  const origin = `http://127.0.0.1:${upstream.port}`
  await push(origin, 'acme/app', 'image', image)
  await push(origin, 'acme/app', 'index', index)
  const config = `upstreams:\n  - {namespace: registry.test, host: "127.0.0.1:${upstream.port}", tls: false}\n`
  const agent = await AgentProcess.start(join(folder, 'agent'), config)
  addCleanup(t, () => agent.stop())
  const digests = (parts: readonly { readonly digest: string }[]) =>
    parts.map(({ digest }) => digest).join(' ')
  const result = await runSuite(suite, folder, {
    OCI_REGISTRY: agent.address,
    OCI_REPO1: 'registry.test/acme/app',
    OCI_API_PUSH: 'false',
    OCI_API_TAGS_DELETE: 'false',
    OCI_API_MANIFESTS_DELETE: 'false',
    OCI_API_BLOBS_DELETE: 'false',
    // A space at the beginning would make the suite check nothing.
    OCI_RO_DATA_TAGS: 'image index',
    OCI_RO_DATA_MANIFESTS: digests([
      image.manifest,
      index.manifest,
      ...index.images.map((one) => one.manifest),
    ]),
    OCI_RO_DATA_BLOBS: digests(image.blobs),
    OCI_RO_DATA_REFERRERS: digests([image.manifest]),
  })
  assertAllPassed(result)
  await assertReadmeSays(`${result.passed} checks of reading`)
})
