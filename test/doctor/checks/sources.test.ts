import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { AgentAnswer } from '../../../src/doctor/checks/agent.ts'
import { findSources, judgeSources } from '../../../src/doctor/checks/sources.ts'
import type { SourceReport } from '../../../src/schemas/status-report.ts'
import type { SourceOptions } from '../../../src/sources/sources.ts'
import { temporaryFolder } from '../../sources/files/files.ts'
import { agentStatus } from '../agent-status.ts'
import { findingLines } from '../finding-lines.ts'

const NO_AGENT: AgentAnswer = { kind: 'no-answer', why: 'connection refused' }
const FINE: SourceReport = { name: 'dir /srv', exclusive: false, repositories: 3, problem: null }

function judge(given: Partial<SourceReport>, isAgentsView = true) {
  return judgeSources({ sources: [{ ...FINE, ...given }], isAgentsView })
}

test('without an agent, the sources of the settings are looked at', async (t) => {
  const folder = await temporaryFolder(t)
  const newer = join(folder, 'newer')
  await mkdir(join(newer, 'blobs'), { recursive: true })
  await mkdir(join(folder, 'empty'))
  await writeFile(join(newer, 'index.json'), '{"schemaVersion":2,"manifests":[]}')
  await writeFile(join(newer, 'oci-layout'), '{"imageLayoutVersion":"2.0.0"}')
  const sources: readonly SourceOptions[] = [
    { from: { kind: 'dir', path: join(folder, 'none') } },
    { from: { kind: 'dir', path: join(folder, 'empty') }, isExclusive: true },
    { from: { kind: 'dir', path: join(folder, 'empty') } },
    { from: { kind: 'oci', path: newer } },
    { from: { kind: 'docker', host: `unix://${folder}/docker.sock` } },
  ]
  const found = await findSources(NO_AGENT, { sources, defaultNamespace: 'docker.io' })
  const findings = judgeSources(found)
  const lines = findingLines(findings).map((line) => line.replaceAll(folder, '…'))
  assert.deepEqual(lines, [
    'problem: the source dir …/none cannot be read: …/none does not exist',
    'problem: the exclusive source dir …/empty has no images',
    'warning: the source dir …/empty has no images',
    'problem: the source oci …/newer cannot be read: …/newer is an OCI layout of version 2.0.0; this agent reads version 1.0.0',
    'problem: the source docker unix://…/docker.sock cannot be read: Docker at unix://…/docker.sock cannot be reached (connect ENOENT …/docker.sock). Start it, or let this user open its socket',
  ])
  const actions = findings.map(({ todo }) => todo?.replaceAll(folder, '…'))
  assert.deepEqual(actions, [
    'correct dir under sources in the settings, or write the images there',
    'write images into …/empty, correct prefixes, or remove exclusive from the settings',
    'write images into …/empty, or correct prefixes in the settings',
    'write the layout with a tool of that version, or update the agent',
    'start Docker (systemctl start docker), or correct docker under sources in the settings',
  ])
})

test('the agent says which sources it has, and how it sees them', async () => {
  const agent: AgentAnswer = { kind: 'agent', status: agentStatus({ sources: [FINE] }), aheadMs: 0 }
  const found = await findSources(agent, { sources: [], defaultNamespace: 'docker.io' })
  assert.deepEqual(findingLines(judgeSources(found)), [
    'ok: the source dir /srv is readable, and has 3 repositories',
  ])
  const older: AgentAnswer = { kind: 'agent', status: agentStatus(), aheadMs: 0 }
  assert.deepEqual((await findSources(older, { sources: [], defaultNamespace: 'docker.io' })).sources, [])
})

test('images that are not served, because an earlier source has others under their names, are a warning', () => {
  const hidden = ['v1', 'v2'].map((tag) => ({
    image: `docker.io/acme/app:${tag}`,
    digest: 'sha256:1',
    servedBy: 'oci /srv/layout',
    servedDigest: 'sha256:2',
  }))
  const findings = judge({ hidden })
  assert.deepEqual(findingLines(findings), [
    'ok: the source dir /srv is readable, and has 3 repositories',
    'warning: the source dir /srv has images that are not served: docker.io/acme/app:v1, and 1 more',
  ])
  assert.equal(
    findings[1]?.means,
    'oci /srv/layout comes first in the settings, and has another image under that name',
  )
  assert.deepEqual(findingLines(judge({ hidden: [] })).length, 1)
})

test('while not all images are compared, nobody is told that none is hidden', () => {
  assert.deepEqual(findingLines(judge({ hidden: [], compared: false })).slice(1), [
    'not-checked: not all images of the source dir /srv are compared with those of the other sources',
  ])
  assert.equal(judge({ hidden: [], compared: true }).length, 1)
})

test('a source that has failed to serve an image is a warning', () => {
  const [failed] = judge({ name: 'docker unix:///x', problem: 'a:v1 could not be saved: no room.' })
  assert.equal(failed?.state, 'warning')
  assert.match(
    failed?.found ?? '',
    /^the source docker unix:\/\/\/x has failed: a:v1 could not be saved: no room$/,
  )
})

test('what only this user may not read is not checked, and what the agent may not read is a problem', () => {
  const why = 'Docker at unix:///x cannot be reached (connect EACCES /x). Start it.'
  const docker = { name: 'docker unix:///x', repositories: null, problem: why }
  const [own] = judge(docker, false)
  assert.equal(own?.state, 'not-checked')
  assert.match(own?.todo ?? '', /as the user of the agent, which has to be in the group of the socket/)
  const [agents] = judge(docker)
  assert.equal(agents?.state, 'problem')
  assert.match(agents?.todo ?? '', /usermod -aG docker USER/)
  const [folder] = judge({ repositories: null, problem: '/srv cannot be read: EACCES.', exclusive: true })
  assert.equal(folder?.todo, 'make the path readable for the user of the agent')
  assert.match(folder?.means ?? '', /every pull of an image that only this source may have fails/)
})
