#!/bin/sh
# GET /  what this service is. httpd runs it for a directory without an index page.
printf 'Content-Type: application/json\r\n\r\n'
printf '{"service":"api","version":1,"paths":["/cgi-bin/visits","/health"]}\n'
