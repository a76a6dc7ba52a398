import { plain, plural } from '../../observe/text.ts'
import type { SourceReport } from '../../schemas/status-report.ts'
import { examineSources } from '../../sources/examine.ts'
import type { SourceOptions } from '../../sources/sources.ts'
import { AS_ROOT, type Finding, notChecked, ok, problem, warning } from '../tools/finding.ts'
import type { AgentAnswer } from './agent.ts'

const NOT_ALLOWED = /\b(?:EACCES|EPERM)\b/

/** The local sources as the agent sees them; as this user does, if no agent answers. */
export async function findSources(
  agent: AgentAnswer,
  { sources, defaultNamespace }: { sources: readonly SourceOptions[]; defaultNamespace: string },
): Promise<{ readonly sources: readonly SourceReport[]; readonly isAgentsView: boolean }> {
  const reported = agent.kind === 'agent' ? agent.status.sources : undefined
  if (reported !== undefined) return { sources: reported, isAgentsView: true }
  const states = await examineSources(sources, defaultNamespace)
  return {
    isAgentsView: false,
    sources: states.map(({ name, isExclusive, repositories, problem: why, hidden, isCompared }) => ({
      name,
      exclusive: isExclusive,
      repositories: repositories ?? null,
      problem: why ?? null,
      hidden: [...hidden],
      compared: isCompared,
    })),
  }
}

export function judgeSources({
  sources,
  isAgentsView,
}: Awaited<ReturnType<typeof findSources>>): readonly Finding[] {
  return sources.flatMap((source) => [
    judgeReadable(source, isAgentsView),
    ...judgeHidden(source),
    ...judgeCompared(source),
  ])
}

function judgeReadable(source: SourceReport, isAgentsView: boolean): Finding {
  if (source.problem !== null) {
    // The agent may be another user, who can read it.
    if (!isAgentsView && NOT_ALLOWED.test(source.problem)) return judgePermission(source)
    return source.repositories === null
      ? judgeProblem(source, source.problem)
      : judgeFailed(source, source.problem)
  }
  const name = plain(source.name)
  if (source.repositories !== 0) {
    return ok(
      'source-readable',
      `the source ${name} is readable, and has ${plural(source.repositories ?? 0, 'repository', 'repositories')}`,
    )
  }
  if (!source.exclusive) {
    return warning('source-empty', `the source ${name} has no images`, {
      means: 'it answers no pull; peers and registries are asked instead',
      todo: `${whereToPut(source.name)}, or correct prefixes in the settings`,
    })
  }
  return problem('source-empty', `the exclusive source ${name} has no images`, {
    means: 'every pull of an image that only this source may have gets 404',
    todo: `${whereToPut(source.name)}, correct prefixes, or remove exclusive from the settings`,
  })
}

function judgeHidden({ name, hidden = [] }: SourceReport): readonly Finding[] {
  const [first] = hidden
  if (first === undefined) return []
  const more = hidden.length === 1 ? '' : `, and ${hidden.length - 1} more`
  const found = `the source ${plain(name)} has images that are not served: ${plain(first.image)}${more}`
  return [
    warning('source-hidden', found, {
      means: `${plain(first.servedBy)} comes first in the settings, and has another image under that name`,
      todo: 'remove the image that nobody should get, give one source a namePrefix, or change the order of sources in the settings',
    }),
  ]
}

function judgeCompared({ name, repositories, compared = true }: SourceReport): readonly Finding[] {
  if (compared || repositories === null) return []
  const found = `not all images of the source ${plain(name)} are compared with those of the other sources`
  return [notChecked('source-not-compared', found, 'run the doctor again in a minute')]
}

function judgePermission({ name }: SourceReport): Finding {
  const group = name.startsWith('docker ') ? ', which has to be in the group of the socket' : ''
  return notChecked(
    'source-unreadable',
    `this user may not read the source ${plain(name)}`,
    `${AS_ROOT}${group}`,
  )
}

function judgeProblem({ name, exclusive }: SourceReport, why: string): Finding {
  const sentence = plain(why).replace(/\.$/, '')
  return problem('source-broken', `the source ${plain(name)} cannot be read: ${sentence}`, {
    means: exclusive
      ? 'every pull of an image that only this source may have fails'
      : 'its images are not served; peers and registries are asked instead',
    todo: actionFor(name, why),
  })
}

function judgeFailed({ name }: SourceReport, why: string): Finding {
  return warning(
    'source-has-failed',
    `the source ${plain(name)} has failed: ${plain(why).replace(/\.$/, '')}`,
    {
      means: 'requests for the image get 503; it is tried again at a later request, after a pause',
      todo: 'see whether the data folder of the agent and that of Docker have room, and what the log of Docker says',
    },
  )
}

function actionFor(name: string, why: string): string {
  if (name.startsWith('docker ')) {
    return NOT_ALLOWED.test(why)
      ? "add the user of the agent to the group of Docker's socket (usermod -aG docker USER), and start the agent again"
      : 'start Docker (systemctl start docker), or correct docker under sources in the settings'
  }
  if (/ of version /.test(why)) return 'write the layout with a tool of that version, or update the agent'
  if (NOT_ALLOWED.test(why)) return 'make the path readable for the user of the agent'
  return `correct ${name.startsWith('oci ') ? 'ociLayout' : 'dir'} under sources in the settings, or write the images there`
}

function whereToPut(name: string): string {
  return name.startsWith('docker ')
    ? 'pull or load images into Docker'
    : `write images into ${plain(name).replace(/^\w+ /, '')}`
}
