#!/bin/sh
# Unpacks the Debian packages that gen trains on into a folder: fetch.sh DIR (about 170 MB to download, 1.3 GB unpacked).
set -eu
mkdir -p "$1"
cd "$1"
for language in af ar be bg bn br ca cs cy da de el en-gb eo es et eu fa fi fr ga gd gl gu he hi hr hu id is it ja ka kk km kn ko lt lv mk ml \
	mn mr nb ne nl nn pa-in pl pt pt-br ro ru si sk sl sr sv ta te th tr uk vi zh-cn zh-tw; do
	echo libreoffice-l10n-$language
done >packages
for language in ca cs da de el en-us es et eu fi fr gl hi hu id it ja ko nl pl pt pt-br ru sk sl sv tr vi zh-cn zh-tw; do
	echo libreoffice-help-$language
done >>packages
for language in bg br cs de eo es ga it pl ru zh; do
	echo fortunes-$language
done >>packages
printf 'gnome-user-docs\ninstallation-guide-amd64\n' >>packages
xargs apt-get download <packages
for package in $(cat packages); do
	dpkg-deb -x "${package}"_*.deb "$package"
	rm "${package}"_*.deb
done
rm packages
