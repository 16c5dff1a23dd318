#!/bin/sh
# GET /  the page. Not served as a plain file: the image's files all bear one old
# date, by which a browser would keep the page for years, through every update.
printf 'Content-Type: text/html; charset=utf-8\r\nCache-Control: no-cache\r\n\r\n'
[ "$REQUEST_METHOD" = HEAD ] || exec cat /srv/page.html
