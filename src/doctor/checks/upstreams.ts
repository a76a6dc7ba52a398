import { plain } from '../../observe/text.ts'
import type { HostExamination } from '../../upstream/examine.ts'
import { AS_ROOT, type Finding, notChecked, ok, problem, warning } from '../tools/finding.ts'

/** A quota with a smaller share left is a warning. */
const LOW_QUOTA = 0.1
const ONLY_CACHED =
  'only those of its images that are cached here or at peers can be pulled through the agent'

export function judgeUpstreams(hosts: readonly HostExamination[]): readonly Finding[] {
  return hosts.flatMap((host) => {
    const others = hosts.filter(({ namespace }) => namespace === host.namespace && host.isConfigured)
    return judgeHost(host, { hasAnother: others.some((other) => other !== host && isReachable(other)) })
  })
}

function isReachable({ status }: HostExamination): boolean {
  return status === 200 || status === 401
}

function judgeHost(host: HostExamination, { hasAnother }: { hasAnother: boolean }): readonly Finding[] {
  if (!isReachable(host)) return [judgeFailure(host, hasAnother)]
  return [judgeCredentials(host), ...judgeQuota(host)]
}

function judgeFailure(
  { namespace, host, url, status, why, isConfigured }: HostExamination,
  hasAnother: boolean,
): Finding {
  const name = nameOf(namespace, host)
  const what =
    status === undefined ? `does not answer: ${plain(why ?? 'no answer')}` : `answers ${status} to /v2/`
  const advice = {
    means: hasAnother ? 'the agent uses the other hosts of this registry instead' : ONLY_CACHED,
    todo: `check the connection from this node: curl -v ${url} (name resolution, firewall, HTTPS_PROXY, caFile)`,
  }
  const found = `${name} ${what}`
  return isConfigured && !hasAnother
    ? problem('upstream-unreachable', found, advice)
    : warning('upstream-unreachable', found, advice)
}

function judgeCredentials({ namespace, host, credentialCheck, why, isConfigured }: HostExamination): Finding {
  const name = nameOf(namespace, host)
  const because = why === undefined ? '' : `: ${plain(why)}`
  switch (credentialCheck) {
    case 'open':
      return ok('upstream-open', `${name} answers, and needs no credentials`)
    case 'anonymous':
      return ok('upstream-anonymous', `${name} answers, and allows anonymous access`)
    case 'accepted':
      return ok('upstream-credentials-accepted', `${name} answers, and accepts the credentials`)
    case 'refused':
      return problem('upstream-credentials-refused', `${name} refuses the credentials${because}`, {
        means: 'private images cannot be pulled through the agent, and public ones perhaps not either',
        todo: `correct username, password, passwordFile or dockerConfig of ${namespace} in the settings`,
      })
    case 'wanted':
      return warning(
        'upstream-credentials-missing',
        `${name} requires credentials, and none are set${because}`,
        {
          means:
            'its images cannot be pulled through the agent; runtimes pull them directly, with their own credentials',
          todo: `add ${isConfigured ? '' : 'an entry with '}credentials for ${namespace} under upstreams`,
        },
      )
    case 'unknown':
      return isNotAllowed(why)
        ? notChecked(
            'upstream-credentials-unreadable',
            `${name} answers, but this user may not read the credentials${because}`,
            AS_ROOT,
          )
        : problem(
            'upstream-credentials-unknown',
            `${name} answers, but the credentials could not be checked${because}`,
            {
              means: ONLY_CACHED,
              todo: 'check that the file with the credentials is readable and that the token service is reachable',
            },
          )
  }
}

function isNotAllowed(why: string | undefined): boolean {
  return why?.includes('EACCES') === true
}

function judgeQuota({ namespace, host, quota, credentialCheck }: HostExamination): readonly Finding[] {
  if (quota === undefined) return []
  const { remaining, limit, windowSeconds } = quota
  const name = nameOf(namespace, host)
  const total = limit === undefined ? '' : `; the limit is ${limit}`
  const window = windowSeconds === undefined ? '' : ` in ${Math.round(windowSeconds / 60)} minutes`
  const found = `${name} allows ${remaining} more pulls${window}${total}`
  const advice = {
    means: 'after that it answers 429 until the period ends; cached tags and images are still served',
    todo:
      credentialCheck === 'accepted'
        ? 'spread the pulls over time, or upgrade the plan'
        : 'add credentials under upstreams, which raise the limit',
  }
  if (remaining === 0) return [problem('upstream-quota', found, advice)]
  if (limit !== undefined && remaining < limit * LOW_QUOTA) return [warning('upstream-quota', found, advice)]
  return [ok('upstream-quota', found)]
}

function nameOf(namespace: string, host: string): string {
  return namespace === host ? namespace : `${namespace} (${host})`
}
