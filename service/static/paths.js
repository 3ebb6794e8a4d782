// Addresses on this site. Below a share link all begin with the link's prefix.

const { prefix = "", shared } = document.documentElement.dataset;
const WATCH = `${prefix}/watch/`;

/** Return the path of the video that a page plays; null if it is another page. */
export function videoPathOf(url) {
  try {
    const { origin, pathname } = new URL(url, location.href);
    const isWatchPage = origin === location.origin && pathname.startsWith(WATCH);
    return isWatchPage ? decodeURIComponent(pathname.slice(WATCH.length)) : null;
  } catch {
    return null; // an address that is no UTF-8
  }
}

/** Whether the page is one of a share link. */
export const isByLink = shared !== undefined;

/**
 * Return whether the page may show the video at a path. A share link opens "v" and the path of a
 * video, or "f" and that of a folder.
 */
export const isOpen = (path) =>
  !isByLink ||
  shared === `v${path}` ||
  shared === "f" ||
  (shared.startsWith("f") && path.startsWith(`${shared.slice(1)}/`));

/** Return an address of the JSON: `kind` is "videos" or "next". */
export const apiUrl = (kind, path) => `${prefix}/api/${kind}/${escapePath(path)}`;

/** Return the address of the current storyboard of a video. */
export const storyboardUrl = (path) => `${prefix}/storyboards/${escapePath(path)}.vtt`;

const escapePath = (path) => path.split("/").map(encodeURIComponent).join("/");
