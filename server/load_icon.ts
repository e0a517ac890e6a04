/**
 * The icon of a page with a load: a bar that is as high as the load.
 *
 * @module
 */

/** What the icon shows. */
export interface LoadIcon {
  /** The load as a share of what keeps all CPUs busy; what is above 1 is shown as 1. */
  share: number;
  /** Whether the load is high. The bar is full then. */
  isHigh: boolean;
  /** Whether the load is not known at present. The icon is crossed out then. */
  isOld: boolean;
}

/** Steps of the bar, of two pixels each. Between them the icon stays the same. */
const STEPS = 6;

/** The icon as a `data:` URL of an SVG of 16 by 16. It has a ground of its own, for light and dark tabs. */
export function loadIcon({ share, isHigh, isOld }: LoadIcon): string {
  const steps = isHigh ? STEPS : Math.round(Math.min(share, 1) * STEPS);
  const height = Math.max(1, 2 * steps); // never empty
  const colour = isOld ? "#8a9199" : isHigh ? "#ff9f61" : "#7ca6ff";
  const svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">' +
    '<rect width="16" height="16" rx="3" fill="#14171a"/>' +
    '<rect x="4" y="2" width="8" height="12" fill="#3a4149"/>' +
    `<rect x="4" y="${14 - height}" width="8" height="${height}" fill="${colour}"/>` +
    (isOld ? '<path d="M3 13 13 3" stroke="#fcfcfb" stroke-width="2"/>' : "") + "</svg>";
  return `data:image/svg+xml,${svg.replace(/[<>#"]/g, encodeURIComponent)}`;
}
