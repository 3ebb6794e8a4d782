"""The home page."""

from quart import Response, render_template, request

from service.access.grants import current_grant
from service.browsing.library_page import LibraryPage, choices
from service.browsing.rails import home_rails
from service.items import links
from service.items.video_items import VideoItems
from service.library.visible import VisibleLibrary

# With a value for one of these, or with a folder, `/` lists videos.
_LISTING = ("q", "sort", "page", "limit")


class HomePage:
    """`/`: rails of cards, or a listing."""

    def __init__(self, library: VisibleLibrary, items: VideoItems, listing: LibraryPage) -> None:
        self._library = library
        self._items = items
        self._listing = listing

    async def show(self) -> str | Response:
        """Show the home page; of a small library, the list of its videos.

        A link to a single video leads to its page, one to a folder shows the folder.
        """
        grant = current_grant()
        if grant.scope is not None and grant.scope.kind == "video":
            query = request.query_string.decode("latin-1")  # such as the moment
            target = f"{links.watch(grant.scope.path)}{'?' if query else ''}{query}"
            return Response(status=303, headers={"Location": target})
        is_listing = "folder" in request.args or any(map(request.args.get, _LISTING))
        is_listing = is_listing or not grant.opens_library
        rails = [] if is_listing else home_rails(self._library, self._items)
        if not rails:
            page: str = await self._listing.show()
            return page
        html: str = await render_template(
            "home.html",
            action=links.home(),
            folder=None,
            query="",
            sort="name",
            sorts=choices(None),
            is_home=True,
            shared_folder=None,
            rails=rails,
            videos=len(self._library.catalogue.videos),
            progress=self._items.progress(),
        )
        return html
