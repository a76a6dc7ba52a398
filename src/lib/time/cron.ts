/** The times of a cron line, in UTC. */
export interface Cron {
  readonly minutes: ReadonlySet<number>
  readonly hours: ReadonlySet<number>
  readonly days: ReadonlySet<number>
  readonly months: ReadonlySet<number>
  readonly weekdays: ReadonlySet<number>
  /** As in crontab(5): when days and weekdays are both restricted, either is enough. */
  readonly isEitherDay: boolean
}

const DAY_MS = 24 * 60 * 60 * 1000
/** The 29th of February may be eight years away. */
const MOST_DAYS = 8 * 366

/** Reads five fields of numbers, `*`, lists, ranges and steps, such as `30 3 * * 1-5`; undefined for anything else. */
export function parseCron(text: string): Cron | undefined {
  const fields = text.trim().split(/\s+/)
  const [minute = '', hour = '', day = '', month = '', weekday = ''] = fields
  const minutes = parseField(minute, 0, 59)
  const hours = parseField(hour, 0, 23)
  const days = parseField(day, 1, 31)
  const months = parseField(month, 1, 12)
  const weekdays = parseField(weekday, 0, 7)
  if (fields.length !== 5 || !minutes || !hours || !days || !months || !weekdays) return undefined
  // Both 0 and 7 are Sunday.
  if (weekdays.has(7)) weekdays.add(0)
  const cron = {
    minutes,
    hours,
    days,
    months,
    weekdays,
    isEitherDay: !day.startsWith('*') && !weekday.startsWith('*'),
  }
  // A line such as 0 0 31 2 * has no time at all.
  return lastTime(cron, Date.UTC(2032, 11, 31)) === undefined ? undefined : cron
}

/** The last time of the line that is not after `now`, in milliseconds since the epoch; undefined when there is none. */
export function lastTime(cron: Cron, now: number): number | undefined {
  const today = Math.floor(now / DAY_MS) * DAY_MS
  for (let back = 0; back < MOST_DAYS; back += 1) {
    const day = today - back * DAY_MS
    if (!isOnDay(cron, new Date(day))) continue
    const minute = lastMinute(cron, back === 0 ? Math.floor((now - day) / 60_000) : 24 * 60 - 1)
    if (minute !== undefined) return day + minute * 60_000
  }
  return undefined
}

function isOnDay({ days, months, weekdays, isEitherDay }: Cron, date: Date): boolean {
  const isDay = days.has(date.getUTCDate())
  const isWeekday = weekdays.has(date.getUTCDay())
  return months.has(date.getUTCMonth() + 1) && (isEitherDay ? isDay || isWeekday : isDay && isWeekday)
}

/** The last minute of a day that is not after `most`. */
function lastMinute({ hours, minutes }: Cron, most: number): number | undefined {
  for (let minute = most; minute >= 0; minute -= 1) {
    if (hours.has(Math.floor(minute / 60)) && minutes.has(minute % 60)) return minute
  }
  return undefined
}

function parseField(text: string, least: number, most: number): Set<number> | undefined {
  const values = new Set<number>()
  for (const part of text.split(',')) {
    const [, range = '', first, last, step] =
      /^(\*|(\d{1,2})(?:-(\d{1,2}))?)(?:\/(\d{1,2}))?$/.exec(part) ?? []
    if (range === '') return undefined
    const from = first === undefined ? least : Number(first)
    const until =
      last === undefined ? (first === undefined || step !== undefined ? most : from) : Number(last)
    const by = step === undefined ? 1 : Number(step)
    if (from < least || until > most || from > until || by < 1) return undefined
    for (let value = from; value <= until; value += by) values.add(value)
  }
  return values
}
